"""``python -m aelab``."""

from aelab.cli.app import main

main()
