"""Robot logs with references to video instead of pictures, and the reader that decodes them frame by frame."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchEntry, BatchReport, convert_folder, convert_logs
    from mediaref_tools.conversion.conversion import convert
    from mediaref_tools.dataset.batch import Frame, FrameBatch
    from mediaref_tools.dataset.dataset import Dataset
    from mediaref_tools.dataset.manifest import Manifest, Settings
    from mediaref_tools.dataset.opening import open_dataset
    from mediaref_tools.dataset.playable import open_playable
    from mediaref_tools.dataset.topic import Topic
    from mediaref_tools.episode import Episode, EpisodeGroup, EpisodePictures, open_episode
    from mediaref_tools.errors import MediarefError
    from mediaref_tools.export.playlog import LeftOut, McapReport, export_mcap
    from mediaref_tools.media.columns import decode_column, to_refs
    from mediaref_tools.media.datauri import DataURI
    from mediaref_tools.media.decoding import batch_decode, cleanup_cache
    from mediaref_tools.media.mediaref import MediaRef
    from mediaref_tools.media.video import VideoDecoder
    from mediaref_tools.media.videobatch import VideoBatch, VideoFrame, VideoMetadata
    from mediaref_tools.progress import Progress
    from mediaref_tools.proof.verification import verify
    from mediaref_tools.report import Report, VerifyReport
    from mediaref_tools.rerunlog.recording import RerunReport, save_rerun
    from mediaref_tools.restoring.report import RestoredTopic, RestoreReport
    from mediaref_tools.restoring.restoration import restore
    from mediaref_tools.viewer.view import Viewer, view
    from mediaref_tools.webreport.page import html_report
    from mediaref_tools.windows import Window, Windows

__all__ = [
    "BatchEntry",
    "BatchReport",
    "DataURI",
    "Dataset",
    "Episode",
    "EpisodeGroup",
    "EpisodePictures",
    "Frame",
    "FrameBatch",
    "LeftOut",
    "Manifest",
    "McapReport",
    "MediaRef",
    "MediarefError",
    "Progress",
    "Report",
    "RerunReport",
    "RestoreReport",
    "RestoredTopic",
    "Settings",
    "Topic",
    "VerifyReport",
    "VideoBatch",
    "VideoDecoder",
    "VideoFrame",
    "VideoMetadata",
    "Viewer",
    "Window",
    "Windows",
    "batch_decode",
    "cleanup_cache",
    "convert",
    "convert_folder",
    "convert_logs",
    "decode_column",
    "export_mcap",
    "html_report",
    "open_dataset",
    "open_episode",
    "open_playable",
    "restore",
    "save_rerun",
    "to_refs",
    "verify",
    "view",
]

# Imported when first used: `mediaref --help` should not pay for PyAV and numpy.
_WHERE = {
    "BatchEntry": "conversion.batch",
    "BatchReport": "conversion.batch",
    "Episode": "episode",
    "EpisodeGroup": "episode",
    "EpisodePictures": "episode",
    "convert_folder": "conversion.batch",
    "convert_logs": "conversion.batch",
    "open_episode": "episode",
    "cleanup_cache": "media.decoding",
    "batch_decode": "media.decoding",
    "VideoMetadata": "media.videobatch",
    "Window": "windows",
    "Windows": "windows",
    "VideoFrame": "media.videobatch",
    "VideoBatch": "media.videobatch",
    "VideoDecoder": "media.video",
    "DataURI": "media.datauri",
    "Dataset": "dataset.dataset",
    "Frame": "dataset.batch",
    "FrameBatch": "dataset.batch",
    "Manifest": "dataset.manifest",
    "MediaRef": "media.mediaref",
    "MediarefError": "errors",
    "Progress": "progress",
    "Report": "report",
    "RestoreReport": "restoring.report",
    "RestoredTopic": "restoring.report",
    "restore": "restoring.restoration",
    "RerunReport": "rerunlog.recording",
    "save_rerun": "rerunlog.recording",
    "Settings": "dataset.manifest",
    "Topic": "dataset.topic",
    "VerifyReport": "report",
    "convert": "conversion.conversion",
    "decode_column": "media.columns",
    "LeftOut": "export.playlog",
    "McapReport": "export.playlog",
    "export_mcap": "export.playlog",
    "html_report": "webreport.page",
    "open_dataset": "dataset.opening",
    "open_playable": "dataset.playable",
    "to_refs": "media.columns",
    "verify": "proof.verification",
    "Viewer": "viewer.view",
    "view": "viewer.view",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
