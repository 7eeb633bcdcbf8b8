"""CEL itself: checked trees, values, functions and the exact evaluator. This package does not depend on rules."""
