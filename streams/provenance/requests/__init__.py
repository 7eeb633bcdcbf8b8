"""What the user has asked for: acts, objects, amounts and days, and what he leaves out or leaves to others."""
