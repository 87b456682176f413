"""Choosing topics by globs."""

from __future__ import annotations

from fnmatch import fnmatchcase

from mediaref_tools.errors import TopicError

__all__ = ["select"]


def select(names: set[str], topics: tuple[str, ...], exclude: tuple[str, ...], *, what: str) -> list[str]:
    """Names that match one of the globs `topics` and none of `exclude`, sorted.

    Raises:
        TopicError: A glob of `topics` other than "*" matches nothing.
    """
    for glob in topics:
        if glob != "*" and not any(fnmatchcase(name, glob) for name in names):
            known = ", ".join(sorted(names)[:20]) + (", …" if len(names) > 20 else "")
            raise TopicError(f"no {what} matches {glob!r}; there is: {known or 'none'}")
    return sorted(
        name
        for name in names
        if any(fnmatchcase(name, glob) for glob in topics) and not any(fnmatchcase(name, glob) for glob in exclude)
    )
