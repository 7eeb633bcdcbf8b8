"""A long run of a gate and an executor under a steady load: does their memory grow?"""
