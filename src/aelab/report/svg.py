"""SVG figures as elements of one page, which follow its theme and its content policy."""

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree

from aelab.report.style import INK, MODEL_COLORS, OTHER_COLORS, VARIABLES

# The roles of the theme that can fill an image: pictures are ink, heat maps a model's colour.
TINTS = [VARIABLES[color] for color in (INK, *MODEL_COLORS.values(), *OTHER_COLORS)]


@dataclass
class Inliner:
    """Turns SVG files into elements of one page.

    Ids get a prefix, and style attributes become classes, as the page's policy asks.
    """

    classes: dict[str, str] = field(default_factory=dict)

    @property
    def css(self) -> str:
        """The classes of every figure so far, and the fills of masks."""
        fills = [f".flood-{name}{{flood-color:var(--{name})}}" for name in TINTS]
        rules = [f".{name}{{{rules}}}" for rules, name in self.classes.items()]
        return "\n".join([*fills, *rules])

    @property
    def definitions(self) -> str:
        """The filters that fill masks."""
        return "".join(
            f'<filter id="tint-{name}" x="0" y="0" width="1" height="1" '
            f'color-interpolation-filters="sRGB"><feFlood class="flood-{name}"/>'
            '<feComposite in2="SourceAlpha" operator="in"/></filter>'
            for name in TINTS
        )

    def inline(self, data: bytes, prefix: str, alt: str) -> str:
        """An SVG file as an element with alt text."""
        root = ElementTree.fromstring(data)
        for parent in list(root.iter()):
            for child in list(parent):
                if child.tag.endswith(("}metadata", "}style")):
                    parent.remove(child)
        for element in root.iter():
            self._rewrite(element, prefix)
        for name in ("width", "height"):
            root.attrib.pop(name, None)
        root.attrib |= {"role": "img", "aria-label": alt}
        return ElementTree.tostring(root, encoding="unicode")

    def _rewrite(self, element: ElementTree.Element, prefix: str) -> None:
        tag = element.tag = element.tag.rpartition("}")[2]
        found = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        if rules := _themed(found.pop("style", "")):
            element.set("class", self.classes.setdefault(rules, f"f{len(self.classes)}"))
        own = found.pop("id", "")
        found.pop("version", None)
        if tag == "image":
            tint, is_mask, _ = own.partition(":")
            if is_mask:  # the page fills it with a theme colour
                element.set("filter", f"url(#{tint})")
            if tint not in ("tint-ink", own):  # cells of a heat map, not a picture
                element.set("class", "cells")
            found["href"] = "".join(found["href"].split())
        elif own and tag != "g":
            element.set("id", f"{prefix}-{own}")
        for name, value in found.items():
            local = name == "href" and tag != "image"
            own = value.replace("#", f"#{prefix}-") if local else value
            element.set(name, own.replace("url(#", f"url(#{prefix}-"))


def _themed(declarations: str) -> str:
    text = re.sub(r"image-rendering:[^;]*;?", "", declarations)
    for color, variable in VARIABLES.items():
        text = text.replace(color, f"var(--{variable})")
    return re.sub(r"\s*([:;])\s*", r"\1", text).strip(";")
