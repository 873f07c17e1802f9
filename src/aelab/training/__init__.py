"""The training loop, its steps, optimizer and checkpoints."""
