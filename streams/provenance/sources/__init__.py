"""Where values have been seen before, and which source of a value is the best."""
