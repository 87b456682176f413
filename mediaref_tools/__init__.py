"""Robot logs with references to video instead of pictures, and the reader that decodes them frame by frame."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediaref_tools.batch import Frame, FrameBatch
    from mediaref_tools.columns import decode_column, to_refs
    from mediaref_tools.conversion import convert
    from mediaref_tools.dataset import Dataset, open_dataset
    from mediaref_tools.datauri import DataURI
    from mediaref_tools.decoding import batch_decode, cleanup_cache
    from mediaref_tools.errors import MediarefError
    from mediaref_tools.manifest import Manifest, Settings
    from mediaref_tools.mediaref import MediaRef
    from mediaref_tools.progress import Progress
    from mediaref_tools.report import Report, VerifyReport
    from mediaref_tools.topic import Topic
    from mediaref_tools.verification import verify
    from mediaref_tools.video import VideoBatch, VideoDecoder, VideoFrame, VideoMetadata

__all__ = [
    "DataURI",
    "Dataset",
    "Frame",
    "FrameBatch",
    "Manifest",
    "MediaRef",
    "MediarefError",
    "Progress",
    "Report",
    "Settings",
    "Topic",
    "VerifyReport",
    "VideoBatch",
    "VideoDecoder",
    "VideoFrame",
    "VideoMetadata",
    "batch_decode",
    "cleanup_cache",
    "convert",
    "decode_column",
    "open_dataset",
    "to_refs",
    "verify",
]

# Imported when first used: `mediaref --help` should not pay for PyAV and numpy.
_WHERE = {
    "cleanup_cache": "decoding",
    "batch_decode": "decoding",
    "VideoMetadata": "video",
    "VideoFrame": "video",
    "VideoBatch": "video",
    "VideoDecoder": "video",
    "DataURI": "datauri",
    "Dataset": "dataset",
    "Frame": "batch",
    "FrameBatch": "batch",
    "Manifest": "manifest",
    "MediaRef": "mediaref",
    "MediarefError": "errors",
    "Progress": "progress",
    "Report": "report",
    "Settings": "manifest",
    "Topic": "topic",
    "VerifyReport": "report",
    "convert": "conversion",
    "decode_column": "columns",
    "open_dataset": "dataset",
    "to_refs": "columns",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
