"""``python -m aelab``."""

from aelab.cli import main

main()
