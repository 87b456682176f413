"""HTML, element by element. Whatever is not markup already is text, and nothing of it is taken for markup."""

from __future__ import annotations

import html
from collections.abc import Iterable

from mediaref_tools.plaintext import printable

__all__ = ["Markup", "element", "joined"]

_EMPTY = frozenset({"br", "img", "link", "meta", "path", "rect"})


class Markup(str):
    """HTML that may stand in a page as it is. Only this module and constants make it."""

    __slots__ = ()


def element(tag: str, /, *content: str, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        tag: Its name.
        content: Markup as it is; any other text with all that could be markup, or steer what shows it, escaped.
        attributes: Values are text. "_" in a name stands for "-", one at its end for nothing (`class_`); None leaves
            an attribute out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _EMPTY:
        return Markup(f"<{tag}{told}/>")
    return Markup(f"<{tag}{told}>{joined(content)}</{tag}>")


def joined(parts: Iterable[str]) -> Markup:
    """Parts one after the other: markup as it is, other text escaped."""
    return Markup("".join(part if isinstance(part, Markup) else _escaped(part) for part in parts))


def _escaped(text: str) -> str:
    return html.escape(printable(text))
