"""The least work as a Faust agent, in an environment of its own."""
