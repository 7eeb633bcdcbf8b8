"""An executor at work: verdicts that it skips, calls, a backlog, and how soon a stop is in force."""
