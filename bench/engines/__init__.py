"""The rules of `bench/rules.py` in other policy engines, in an environment of their own."""
