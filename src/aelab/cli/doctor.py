"""A report on this machine: versions, devices, threads, extras, folders, and the data sources.

Torch and what needs it are imported inside the functions, so that a failure can be reported.
"""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from aelab.config.registry import load_plugins
from aelab.data.cache import cache_path, require_cache
from aelab.errors import AelabError, RunError

FREE_GB = 1.0  # a recipe run on all of MNIST leaves some 60 MB


def examine() -> dict[str, Any]:
    """Facts of plain JSON types, and ``problems``, one sentence for each.

    Facts that need torch are left out if it cannot be imported.
    """
    problems: list[str] = []
    packages, extras = _packages(problems)
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free / 1e9
    if not os.access(folder, os.W_OK):
        problems.append(f"{folder} cannot be written to: change folder or give runs an --out.")
    if free < FREE_GB:
        problems.append(f"{folder} has {free:.1f} GB free: make room for at least {FREE_GB:g} GB.")
    cache = None
    try:
        cache = str(cache_path() / "mnist")
        require_cache()
    except RunError as error:
        problems.append(str(error))
    return _of_torch(problems) | {
        "packages": packages,
        "extras": extras,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "folder": {"path": str(folder), "free_gb": round(free, 1)},
        "cache": cache,
        "problems": problems,
    }


def _of_torch(problems: list[str]) -> dict[str, Any]:
    """Versions, devices and threads, if everything that a run needs can be imported."""
    try:
        import torch

        import aelab.lab.jobs  # noqa: F401
        from aelab.config.device import find_device
        from aelab.nets.precision import bfloat16_units
        from aelab.runs.environment import environment
    except (ImportError, OSError) as error:  # OSError: a shared library that torch needs
        problems.append(f"No run can start, as an import fails ({error}): install aelab again.")
        return {}
    try:
        load_plugins()
    except AelabError as error:
        problems.append(str(error))
    devices = {"cpu": torch.backends.cpu.get_cpu_capability()}
    for index in range(torch.cuda.device_count()):
        devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return {
        "environment": environment(),
        "devices": devices,
        "threads": torch.get_num_threads(),
        "bfloat16": bfloat16_units(find_device("auto")) or None,
    }


def look_at_data(source: str | None, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """What a source of data holds.

    Args:
        source: As for ``resolve_data``, or ``fetch`` to download MNIST into the cache, or None for
            what is available without a network.
        say: Called with a line of text before each download.

    Raises:
        DataError: If the named source cannot be used. Without a name, the entry of a source that
            cannot be used has a ``problem``.
    """
    from aelab.data.sources import default_cache

    if source is not None:
        return [_look("mnist" if source == "fetch" else source, say)]
    found = [_look("bundled", say)]
    try:
        return [*found, _look(str(default_cache()), say)]
    except AelabError as error:
        problem = str(error)
        if isinstance(error.__cause__, FileNotFoundError):
            problem = f"not in {default_cache()}: get it by aelab data fetch."
        return [*found, {"name": "MNIST", "problem": problem}]


def _look(source: str, say: Callable[[str], None]) -> dict[str, Any]:
    from aelab.data.sources import resolve_data
    from aelab.lab.data import describe

    found = resolve_data(source, on_progress=say)
    data = found.load()
    return describe(data) | {"classes": data.classes, "files": found.files}


def _packages(problems: list[str]) -> tuple[dict[str, str], dict[str, dict[str, str | None]]]:
    """The versions of required packages and, by extra, of optional ones (None: missing)."""
    needed: dict[str, str] = {}
    extras: dict[str, dict[str, str | None]] = {}
    for line in requires("aelab") or []:
        requirement = Requirement(line)
        name, found = requirement.name, _version(requirement.name)
        if requirement.marker is not None:
            extra = str(requirement.marker).split("extra ==")[-1].strip(" '\"")
            extras.setdefault(extra, {})[name] = found
        elif found is None or not requirement.specifier.contains(found, prereleases=True):
            problems.append(
                f"{name} is {found or 'not installed'} and aelab needs {requirement.specifier}: "
                "install aelab again."
            )
        else:
            needed[name] = found
    return needed, extras


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
