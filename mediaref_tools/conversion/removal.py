"""Deleting a log that has become a dataset: only once that was proved against it again, as both lie on the disk."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from mediaref_tools.conversion.identity import Identity
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.errors import MediarefError
from mediaref_tools.log import FolderReader
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import OnProgress, no_progress
from mediaref_tools.proof.verification import verify
from mediaref_tools.report import Report
from mediaref_tools.staging import remove, sync

__all__ = ["delete_source"]

_NAMED = 3


def delete_source(log: Path, dataset: Path, report: Report, on_progress: OnProgress = no_progress) -> str:
    """Delete a log, if its dataset has all that it held and is proved against it once more.

    A folder vanishes by one rename, to `.<name>.deleted` beside it, before anything in it is removed: killed at any
    moment, the log is there whole or not at all.

    Args:
        log: A file, or a folder that holds nothing but the log.
        dataset: What was made of it, committed.
        report: Of that conversion.
        on_progress: As for `verify`.

    Returns:
        Why the log stays; "" where it is gone.
    """
    try:
        settings = Manifest.read(dataset).settings
        before = Identity.of(log, settings)
        kept = _hindrance(log, report) or _unproved(log, dataset, on_progress)
        if kept:
            return kept
        if Identity.of(log, settings).files != before.files or _hindrance(log, report):
            return "it changed while it was compared with its dataset"
        _remove(log)
    except MediarefError as error:
        return str(error)
    except OSError as error:
        return f"it can't be deleted: {error.strerror or error}"
    return ""


def _hindrance(log: Path, report: Report) -> str:
    if not report.lossless:
        return "its conversion was not without loss"
    if log.is_symlink():
        return f"it is a link: delete that and what it leads to yourself: {log.resolve()}"
    if not log.is_dir():
        return ""
    with open_log(log) as reader:
        if not isinstance(reader, FolderReader):
            return "it is a folder, and its converter does not tell what in it is the log's"
        others = sorted(path.relative_to(log).as_posix() for path in islice(reader.strangers(), 1000))
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"its folder holds what is no part of the log: {', '.join(others[:_NAMED])}{more}" if others else ""


def _unproved(log: Path, dataset: Path, on_progress: OnProgress) -> str:
    found = verify(dataset, against=log, on_progress=on_progress)
    if found.ok:
        return ""
    first = found.problems[0] if found.problems else f"{found.messages_different} messages differ"
    return f"its dataset is not proved, {found.wrong} wrong, {found.missing} missing: {first}"


def _remove(log: Path) -> None:
    if log.is_dir():
        gone = log.with_name(f".{log.name}.deleted")
        if gone.is_dir():
            remove(gone)  # of a run that was killed while it removed it
        log.rename(gone)
        sync(gone.parent)
        remove(gone)
    else:
        remove(log)
        sync(log.parent)
