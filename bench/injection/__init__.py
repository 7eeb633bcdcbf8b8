"""A development set of honest tasks and attacks, and the measurement of how a rule bundle judges them."""
