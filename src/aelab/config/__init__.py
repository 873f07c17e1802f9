"""The base of every configuration."""
