"""The rules of `bench/parts/rules.py` in other policy engines, in an environment of their own."""
