"""CEL itself: the checked tree, values, functions and the exact evaluator. Knows nothing of rules."""
