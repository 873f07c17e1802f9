"""What every page of the lab shares: its look, its theme switch, its strict content policy."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from aelab.report.numbers import capital, duration, number, p_text


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


def slug(text: str) -> str:
    """Letters, digits and hyphens only."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)


def render(template: str, *, css: str, images: str, **context: Any) -> str:
    """A report page as HTML.

    Args:
        template: A file of the report's templates that extends ``page.html.j2``.
        css: The style rules of the page's figures.
        images: The SVG definitions of their images.
        context: What the template reads.
    """
    style = "\n".join([shared_style(), text("aelab.report", "report.css"), css, ""])
    script = shared_script() + text("aelab.report", "report.js")
    templates = environment("aelab.report")
    templates.filters |= {
        "slug": slug, "capital": capital, "number": number, "p": p_text, "duration": duration,
    }  # fmt: skip
    return templates.get_template(template).render(
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
        images=Markup(images),
        **context,
    )
