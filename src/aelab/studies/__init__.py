"""Paired runs over many seeds, and runs side by side."""
