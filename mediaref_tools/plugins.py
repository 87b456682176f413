"""Finding converters: through the entry-point group `mediaref_tools.converters`, built-in or a stranger's."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple, cast

from mediaref_tools.errors import LogError, LogNotFound, PluginError
from mediaref_tools.log import Converter, GuidedConverter, LogReader, OpenOptions

__all__ = ["GROUP", "Plugin", "claimed", "installed", "open_log"]

GROUP = "mediaref_tools.converters"


class Plugin(NamedTuple):
    """An installed converter: its name, where it comes from, and why it can't be used, if it can't."""

    name: str
    distribution: str
    version: str
    target: str
    converter: Converter | None
    error: PluginError | None


def installed() -> list[Plugin]:
    """Every installed converter, by name. One that is broken is listed with its error; the others go on working."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    uses = Counter(point.name for point in points)
    return [_load(point, [other.value for other in points if other.name == point.name], uses) for point in points]


def _load(point: EntryPoint, claimants: list[str], uses: Counter[str]) -> Plugin:
    distribution = point.dist.name if point.dist else "unknown"
    version = point.dist.version if point.dist else "unknown"
    converter: Converter | None = None
    error: PluginError | None = None
    if uses[point.name] > 1:
        error = PluginError(
            f"converter name {point.name!r} is claimed by {' and '.join(claimants)}: uninstall one of them"
        )
    else:
        try:
            converter = cast("Converter", point.load()())
        except Exception as cause:  # a stranger's module may raise anything at import
            error = PluginError(
                f"converter {point.name!r} of {distribution} {version} can't be loaded from {point.value}: "
                f"{type(cause).__name__}: {cause}; reinstall or remove that package"
            )
            error.__cause__ = cause
    return Plugin(point.name, distribution, version, point.value, converter, error)


def open_log(path: Path, options: OpenOptions | None = None) -> LogReader:
    """Open a log with the one converter that claims it.

    Args:
        path: The log.
        options: What its container does not say.

    Raises:
        LogNotFound: Nothing is there, or no converter claims it.
        PluginError: Two converters claim it, or none does while one is broken.
        LogError: Its converter can't read it, or has no use for an option.
    """
    try:
        there = path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise LogNotFound(f"no such file or folder ({error.strerror}): {path}") from error
    if not there:
        raise LogNotFound(f"no such file or folder: {path}")
    plugins = installed()
    converter = _claimant(path, plugins)
    if converter is None:
        broken = [plugin.error for plugin in plugins if plugin.error is not None]
        if broken:
            raise PluginError(f"no working converter claims this path; of the others, {broken[0]}: {path}")
        raise LogNotFound(_nothing_claims(path, [plugin.name for plugin in plugins]))
    if options is not None and isinstance(converter, GuidedConverter):
        return converter.open_with(path, options)
    if options is not None and options.said:
        raise LogError(
            f"a log of {converter.name} says itself what {' and '.join(options.said)} would: leave that out: {path}"
        )
    return converter.open(path)


def claimed(path: Path) -> bool:
    """Whether a converter claims what is at a path.

    Raises:
        PluginError: Two do.
    """
    return _claimant(path, installed()) is not None


def _claimant(path: Path, plugins: list[Plugin]) -> Converter | None:
    claims = [(plugin, plugin.converter) for plugin in plugins if plugin.converter and _claims(plugin.converter, path)]
    if len(claims) > 1:
        names = " and ".join(f"{plugin.name!r} of {plugin.distribution}" for plugin, _ in claims)
        raise PluginError(f"converters {names} both claim this log: uninstall one of them: {path}")
    return claims[0][1] if claims else None


def _claims(converter: Converter, path: Path) -> bool:
    try:
        return converter.claims(path)
    except Exception:  # a stranger's: it must not stop the others
        return False


def _nothing_claims(path: Path, names: list[str]) -> str:
    known = ", ".join(names) or "none is installed"
    if path.is_dir():
        return f"this folder holds no log (looked for: {known}): {path}"
    if path.stat().st_size == 0:
        return f"this file is empty: {path}"
    with path.open("rb") as stream:
        head = stream.read(12)
    return f"not a log that an installed converter knows (known: {known}; it begins with {head!r}): {path}"
