"""Open connections of agents and executors to a log."""
