"""What the fork server loads once for the processes that it starts; see runs/pool.py."""

import atexit
import os
import shutil

import aelab.lab.jobs  # noqa: F401

# The parent deletes the folder of the server's socket when it exits. The server ends after it, so
# nothing is left of a parent that was killed.
if folder := os.environ.get("AELAB_SOCKETS"):
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
