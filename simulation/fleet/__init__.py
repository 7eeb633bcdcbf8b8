"""Synthetic fleets of agents, to measure how well behaviour detectors tell attacks from honest work.

Nothing in here may import from `streams.behaviour` but the class of an activity: a generator that knew a threshold
would measure itself. How strong an attack is, is a parameter, and every number of it is drawn.
"""
