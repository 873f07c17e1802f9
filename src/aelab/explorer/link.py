"""JavaScript modules to one script, so that a page is one file: no build step, no bundler.

The modules are plain ES modules that keep to two forms, one line each:
``import { a, b } from "./name.js";`` and ``export function|const|class name``. Each becomes a
function that is called once and gives its exports, after the modules that it imports.
"""

import re
from collections.abc import Mapping

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w-]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def link(sources: Mapping[str, str], entry: str) -> str:
    """One script of the modules that ``entry`` needs, by name without ``.js``."""
    linked: dict[str, str] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"modules import each other in a circle: {' → '.join(path)}"
        if name in linked:
            return
        source = sources[name]
        for _, wanted in _IMPORT.findall(source):
            add(wanted, (*path, name))
        exports = [found for _, found in _EXPORT.findall(source)]
        body = _IMPORT.sub(lambda m: f"const {{ {m[1]} }} = {_variable(m[2])};", source)
        body = _EXPORT.sub(r"\1 \2", body)
        left = _OTHER.search(body)
        assert left is None, f"{name}.js: a form that link.py does not know: {left and left[0]}"
        linked[name] = (
            f"const {_variable(name)} = (() => {{\n{body.strip()}\n"
            f"return {{ {', '.join(exports)} }};\n}})();"
        )

    add(entry, ())
    return '"use strict";\n' + "\n\n".join(linked.values()) + "\n"


def _variable(name: str) -> str:
    return "_" + name.replace("-", "_")
