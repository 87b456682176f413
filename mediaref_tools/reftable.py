"""References in an HDF5 file: a 1-D dataset of compound `(uri, pts_ns)`, and attributes that say what stood there.

Both ends know this form: the converter that writes it, and the adapter that decodes through it. The attributes are
those of the pictures' own dataset, and these:

| attribute | holds |
|---|---|
| `mediaref_spec` | "1.0" |
| `source_shape`, `source_dtype` | of the dataset that the references replace |
| `source_type`, `source_encoding` | as its channel has it ("uint8[480,640,3]"), and "rgb8", "16UC1", "jpeg", "h264" … |
| `source_layout` | the order of a row's axes: "HWC", "CHW", "HW", or "file", "video" |
| `source_height`, `source_width`, `source_step` | of all its pictures; 0 where they differ |
| `source_storage` | JSON: chunks, maxshape, fill value and filters of that dataset |
| `channel_order` | "rgb", "gray", or "bgr" where red and blue of what decodes are likely swapped |
| `orientation` | "as stored", or "upside down" |
| `fps` | where its times are spaced evenly |
| `mediaref_time` | JSON: how a row's log time is told |
| `mediaref_times_ns` | log times, where nothing else tells them |
| `mediaref_repeats` | the path of the dataset that has the same pictures, where this one is no topic of its own |
| `mediaref_added` | JSON: which of `channel_order`, `orientation` and `fps` are not the pictures' own attributes |

An attribute of that name that the pictures' dataset had already stays as it was.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "ADDED",
    "NO_PTS",
    "PTS",
    "REPEATS",
    "RESERVED",
    "SPEC",
    "SPEC_VERSION",
    "TIME",
    "TIMES_NS",
    "URI",
    "holds_refs",
]

URI: Final = "uri"
PTS: Final = "pts_ns"
NO_PTS: Final = -1
"""Stands for a null `pts_ns`: a still."""

SPEC: Final = "mediaref_spec"
SPEC_VERSION: Final = "1.0"
TIME: Final = "mediaref_time"
TIMES_NS: Final = "mediaref_times_ns"
REPEATS: Final = "mediaref_repeats"
ADDED: Final = "mediaref_added"
RESERVED: Final = (
    SPEC, TIME, TIMES_NS, REPEATS, ADDED, "source_shape", "source_dtype", "source_type", "source_encoding",
    "source_layout", "source_height", "source_width", "source_step", "source_storage",
)  # fmt: skip
"""Attributes that a reader depends on: pictures whose dataset has one already are left as they are."""


def holds_refs(dtype: Any) -> bool:
    """Whether a dataset of this NumPy dtype holds references, ours or others': fields `uri` and `pts_ns`, no more."""
    names = dtype.names
    return names is not None and set(names) == {URI, PTS} and dtype[URI].kind in "OS" and dtype[PTS].kind in "iu"
