"""What is registered by name: models, metrics, goals; and the plugins that register more of them.

A plugin is a module that another distribution names in its pyproject.toml, in the table
``[project.entry-points."aelab.plugins"]``.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from aelab.errors import AelabError

T = TypeVar("T")
_REGISTRIES: list["Registry[Any]"] = []
_PENDING: list[EntryPoint] = []
_found = False


class Registry(dict[str, T]):
    """What is registered under its name, and where it was defined."""

    def __init__(self, kind: str, names: str = "[a-z][a-z0-9_]*") -> None:
        super().__init__()
        self.kind, self.names = kind, re.compile(names)
        self.reserved: set[str] = set()
        self.definitions: dict[str, tuple[str, str]] = {}  # name -> module, qualified name
        _REGISTRIES.append(self)

    def register(self, name: str, value: T, definition: Any) -> None:
        """Add ``value``, made from a class or function; a cell that runs again replaces its own.

        Raises AelabError if the name cannot be used or belongs to something else.
        """
        if not self.names.fullmatch(name):
            raise AelabError(
                f"A {self.kind} cannot be named {name!r}: use lower-case letters, digits and "
                "underscores, and begin with a letter."
            )
        self._check_reserved(name)
        origin = (definition.__module__, definition.__qualname__)
        moved = ("__main__", origin[1])  # from a notebook into a module
        if name in self and self.definitions[name] not in (origin, moved):
            module, qualified = self.definitions[name]
            raise AelabError(
                f"There already is a {self.kind} named {name} ({module}.{qualified}): choose "
                "another name."
            )
        self[name] = value
        self.definitions[name] = origin

    def reserve(self, *names: str) -> None:
        """Refuse ``names``, which mean something else where this registry is used."""
        self.reserved.update(names)
        for name in self:
            self._check_reserved(name)

    def _check_reserved(self, name: str) -> None:
        if name in self.reserved:
            raise AelabError(
                f"A {self.kind} cannot be named {name}, which has a meaning of its own in the "
                "settings: choose another name."
            )


def registered_elsewhere() -> dict[str, str]:
    """What was not registered by aelab itself, such as ``model sparse``, and its module."""
    return {
        f"{registry.kind} {name}": registry.definitions[name][0]
        for registry in _REGISTRIES
        for name in registry
        if registry.definitions[name][0].partition(".")[0] != "aelab"
    }


def load_plugins() -> None:
    """Import the plugins that are installed, each once. Raises AelabError if one fails."""
    global _found
    if not _found:
        _found = True
        _PENDING.extend(entry_points(group="aelab.plugins"))
    while _PENDING:  # a plugin may come here itself, while it is imported
        plugin = _PENDING.pop(0)
        try:
            plugin.load()
        except Exception as error:
            owner = plugin.dist.name if plugin.dist else plugin.value
            raise AelabError(
                f"The plugin {plugin.name} of {owner} cannot be loaded ({error}): repair or "
                "uninstall it."
            ) from error
