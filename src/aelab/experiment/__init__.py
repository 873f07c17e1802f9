"""The whole configuration of a run, and its presets."""
