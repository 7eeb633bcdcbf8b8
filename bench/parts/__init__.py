"""Single parts without a gate around them: records, rules, budgets, values in contents, seals, replay, commands."""
