"""What the fork server does beside loading modules: it deletes the folder of its socket."""

import atexit
import os
import shutil

# The parent deletes the folder when it exits. The server ends after it, so nothing is left of a
# parent that was killed.
if folder := os.environ.get("AELAB_SOCKETS"):
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
