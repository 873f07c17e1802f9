"""Speed against what a user would otherwise pick, and against the machine's limit: make bench."""
