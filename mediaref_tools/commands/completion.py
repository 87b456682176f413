"""What a shell offers where a topic is to be named: those of the log or dataset that the line names already."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["topics"]


def topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of image topics that begin with what is typed; none where nothing on the line can be read."""
    return [name for path in _paths(ctx) for name in _topics(path) if name.startswith(incomplete)]


def _paths(ctx: click.Context) -> list[Path]:
    """What the line names that is there: a log, several, or a dataset."""
    values = [one for value in ctx.params.values() for one in (value if isinstance(value, tuple) else (value,))]
    # An option whose value is still to come ends click's parsing: what stood before it is left over.
    paths = [one for one in values if isinstance(one, Path)] or [Path(one) for one in ctx.args]
    return [path for path in paths if path.exists()]


def _topics(path: Path) -> list[str]:
    from mediaref_tools.dataset.layout import MANIFEST
    from mediaref_tools.dataset.manifest import Manifest
    from mediaref_tools.errors import MediarefError
    from mediaref_tools.plugins import open_log

    try:
        if (path / MANIFEST).is_file():
            manifest = Manifest.read(path)
            return sorted([one.topic for one in manifest.topics] + [one.topic for one in manifest.kept])
        with open_log(path) as reader:
            return sorted({channel.topic for channel in reader.channels if channel.role in ("image", "record")})
    except (MediarefError, OSError):
        return []
