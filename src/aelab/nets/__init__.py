"""Encoders and decoders, chosen by name, initialised from a seed."""
