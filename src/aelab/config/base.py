"""The base of every configuration: frozen, strict about names, described for ``--help``."""

import codecs
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from aelab.errors import AelabError


class Config(BaseModel):
    """A frozen record of settings; an unknown name is an error, a description is the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def sentence(error: ValidationError, where: str = "", advice: str = "see aelab run --help") -> str:
    """What pydantic found, in one sentence; ``where`` is the table that the setting stands in."""
    first, *others = error.errors(include_url=False)
    name = ".".join(str(part) for part in ((where,) if where else ()) + first["loc"])
    if first["type"] == "extra_forbidden":
        text = f"there is no setting {name}; {advice}"
    else:
        message = first["msg"].removeprefix("Value error, ")
        text = f"{name}: {message[:1].lower()}{message[1:]}" if name else message
        if name and isinstance(first["input"], str | int | float):
            text += f", not {first['input']!r}"
    return text + (f" (and {len(others)} more)" if others else "") + "."


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as plain settings, in UTF-8 or, as PowerShell redirects it, in UTF-16.

    Raises AelabError, in one sentence, if it cannot be read.
    """
    try:
        raw = path.read_bytes()
        utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return tomllib.loads(raw.decode("utf-16" if utf16 else "utf-8-sig"))
    except OSError as error:
        raise AelabError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise AelabError(f"{path} is not TOML: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise AelabError(f"{path} is not TOML: {error}.") from None


def to_toml(settings: Mapping[str, Any]) -> str:
    """Plain settings as TOML; what is None, and a table without settings, is left out."""

    def given(table: Mapping[str, Any]) -> dict[str, Any]:
        plain = {
            name: given(value) if isinstance(value, Mapping) else value
            for name, value in table.items()
        }
        return {name: value for name, value in plain.items() if value not in (None, {})}

    return tomli_w.dumps(given(settings))


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf of nested settings by its dotted name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat
