"""Bundles JavaScript modules into one script, so that a page is one file; needs no build tool.

The modules are ES modules that use two forms, one line each:
``import { a, b } from "./name.js";`` and ``export function|const|class name``. Each module becomes
a function that is called once, after the modules that it imports, and returns its exports.
"""

import re
from collections.abc import Mapping

_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w-]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def bundle(sources: Mapping[str, str], entry: str) -> str:
    """One script of the modules that ``entry`` needs.

    Args:
        sources: The source of each module by its name without ``.js``.
        entry: The name of the module to start from.
    """
    bundled: dict[str, str] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"circular import: {' → '.join(path)}"
        if name in bundled:
            return
        source = sources[name]
        for _, imported in _IMPORT.findall(source):
            add(imported, (*path, name))
        exports = [export for _, export in _EXPORT.findall(source)]
        body = _IMPORT.sub(lambda m: f"const {{ {m[1]} }} = {_variable(m[2])};", source)
        body = _EXPORT.sub(r"\1 \2", body)
        unknown = _OTHER.search(body)
        assert unknown is None, f"{name}.js: unsupported form: {unknown and unknown[0]}"
        bundled[name] = (
            f"const {_variable(name)} = (() => {{\n{body.strip()}\n"
            f"return {{ {', '.join(exports)} }};\n}})();"
        )

    add(entry, ())
    return '"use strict";\n' + "\n\n".join(bundled.values()) + "\n"


def _variable(name: str) -> str:
    return "_" + name.replace("-", "_")
