"""What every page of the lab shares: its look, its theme switch, its strict content policy."""

import base64
import hashlib
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from aelab.config.base import flatten
from aelab.report.numbers import (
    capital,
    duration,
    listing,
    number,
    p_text,
    quantity,
    setting_text,
    slug,
)
from aelab.report.svg import Inliner
from aelab.runs.records import Record


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


def policy_hash(content: str) -> str:
    """The source expression by which a content policy allows this very style or script."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def render(template: str, results: Record, figures: Inliner, **context: Any) -> str:
    """A report page as HTML.

    Args:
        template: A file of the report's templates that extends ``page.html.j2``.
        results: The record of a run, a study or a search.
        figures: What has turned the page's figures into elements.
        context: What else the template reads.
    """
    style = "\n".join(
        [*(text("aelab.report", name) for name in ("base.css", "report.css")), figures.css, ""]
    )
    script = text("aelab.report", "theme.js") + text("aelab.report", "report.js")
    templates = environment("aelab.report")
    templates.filters |= {
        "slug": slug, "capital": capital, "number": number, "p": p_text, "duration": duration,
        "quantity": quantity, "setting": setting_text, "flatten": flatten, "listing": listing,
    }  # fmt: skip
    return templates.get_template(template).render(
        results=results,
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
        images=Markup(figures.definitions),
        **context,
    )
