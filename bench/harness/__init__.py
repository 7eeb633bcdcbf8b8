"""What measurements are made with: a log to work on, the work, processes, turns of versions, and the results page."""
