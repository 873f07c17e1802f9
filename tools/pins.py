"""Write constraints.txt from the installed packages: torch first, no addresses."""

from importlib.metadata import distributions
from pathlib import Path

LEFT_OUT = {"aelab", "pip", "setuptools", "torch"}

pins = sorted(
    {
        f"{dist.metadata['Name'].lower().replace('_', '-')}=={dist.version}"
        for dist in distributions()
        if dist.metadata["Name"].lower() not in LEFT_OUT
    }
)
head = "# Pinned versions that aelab is tested with; torch first. Renew with: make pins"
Path("constraints.txt").write_text("\n".join([head, "torch==2.13.0", *pins, ""]))
