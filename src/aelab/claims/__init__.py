"""Claims, and the rule that decides them."""
