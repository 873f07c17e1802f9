"""Settings as TOML."""

import json
from collections.abc import Mapping
from typing import Any


def to_toml(settings: Mapping[str, Any]) -> str:
    """Plain settings as TOML, one table deep; what is None is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    tables = {key: value for key, value in given.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {_toml(value)}" for key, value in given.items() if key not in tables]
    for key, values in tables.items():
        rows = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
        lines += ["", f"[{key}]", *rows] if rows else []
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
