"""What every page of the lab shares: its look, its theme switch, its strict content policy."""

import base64
import hashlib
from importlib.resources import files

import jinja2


def environment(package: str) -> jinja2.Environment:
    """Jinja2 over a package's ``templates``: everything escaped, an unknown name an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def text(package: str, name: str) -> str:
    """A file of a package's ``templates``."""
    return (files(package) / "templates" / name).read_text(encoding="utf-8")


def shared_style() -> str:
    """The themes and the typography of every page."""
    return text("aelab.report", "base.css")


def shared_script() -> str:
    """The theme switch of every page."""
    return text("aelab.report", "theme.js")


def policy_hash(content: str) -> str:
    """The source expression by which a content policy allows this very style or script."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
