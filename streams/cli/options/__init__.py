"""The options of commands: those that several share, groups of them, and those that name instants."""
