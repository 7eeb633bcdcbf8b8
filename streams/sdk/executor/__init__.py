"""What an executor needs: the checks of verdicts, calls that run once, and their reports."""
