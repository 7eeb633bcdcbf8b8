"""Single values and their forms: addresses, numbers, days, ids, and what distinguishes them."""
