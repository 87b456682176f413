"""Foreign text as people may see it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Text with every control, invisible or broken character escaped: names in a log must not steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
