"""What a tool is for: its kind of act, the uses of its arguments, and where values stand in its schema."""
