"""A gate at work: its rate and its CPU time, latency, sessions, disk space, and an earlier version beside it."""
