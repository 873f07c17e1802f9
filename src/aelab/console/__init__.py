"""The terminal: streams and progress."""
