"""Telling which datasets of an HDF5 file are pictures: by shape, dtype and first bytes; names break ties only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np

from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.log import Loss
from mediaref_tools.reftable import RESERVED

from .file import missing_filter

__all__ = ["Layout", "Pictures", "told_pictures"]

Layout = Literal["HWC", "CHW", "HW", "file", "video"]
"""The order of a row's axes; a row may be an image file too, and the whole dataset one video."""

_SIDE_MIN = 16
_CHANNELS = (1, 3, 4)
_CHUNK_MAX = 2**28
_FIRST_ROWS = 16  # some of which may be empty
_FILES = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp", "image/avif": "avif"}
_ENCODINGS = {
    ("u", 1, 1): "mono8", ("u", 1, 3): "rgb8", ("u", 1, 4): "rgba8",
    ("u", 2, 1): "16UC1", ("u", 2, 3): "16UC3", ("u", 2, 4): "16UC4", ("f", 2, 1): "16FC1", ("f", 4, 1): "32FC1",
}  # fmt: skip
# Values that mean something else than light: the least change by a video codec makes another label of them.
_LABELS = re.compile(r"(^|[_/])(seg|segmentation|semantic|instance|mask|masks|label|labels)([_/]|$|\d)")
_DEPTH = re.compile(r"depth|range_image|disparity")


@dataclass(frozen=True, slots=True)
class Pictures:
    """A dataset of pictures, one a row; or of one video.

    Attributes:
        path: Without the leading slash: the topic.
        shape, dtype: The dataset's; a dtype of another byte order than this machine's is said as it is.
        layout: How a row lies.
        encoding: A sensor_msgs encoding for raw pixels, "jpeg" or another kind of file, "mp4" for a video.
        height, width, channels: Of raw pixels; 0 where files know.
        why: What told, for people.
    """

    path: str
    shape: tuple[int, ...]
    dtype: Any
    layout: Layout
    encoding: str
    height: int = 0
    width: int = 0
    channels: int = 0
    why: str = ""

    @property
    def rows(self) -> int:
        """How many rows: bytes where it is a video."""
        return self.shape[0]

    @property
    def row_bytes(self) -> int | None:
        """How long a row is, in bytes; None where each has its own length."""
        if h5py.check_vlen_dtype(self.dtype) is not None or self.dtype.kind == "O":
            return None
        return int(np.prod(self.shape[1:], dtype=np.float64)) * int(self.dtype.itemsize)

    @property
    def type(self) -> str:
        """What a channel of it calls its messages: "uint8[480,640,3]", "vlen uint8[]", "uint8[] mp4"."""
        inner = h5py.check_vlen_dtype(self.dtype)
        name = f"vlen {np.dtype(inner).name}" if inner not in (None, str, bytes) else str(self.dtype)
        if self.layout == "video":
            return f"{name}[] mp4"
        return f"{name}[{','.join(map(str, self.shape[1:]))}]"


def told_pictures(dataset: h5py.Dataset, path: str, *, asked: bool) -> Pictures | Loss | None:
    """What a dataset is: pictures; pictures that have to stay as they are, as a `Loss` without messages; neither.

    Args:
        dataset: Open. Not read where it leads to other files.
        path: Its path.
        asked: Somebody names it as pictures: names and sizes that speak against it do not count.

    Raises:
        ExtraError: Its filter needs a package that is not installed.
    """
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        return Loss(path, "its data lies in other files, which are not opened: the dataset is copied as it is", 0)
    shape, dtype = dataset.shape, dataset.dtype
    if not shape or shape[0] == 0 or 0 in shape:
        return None
    found = _raw(path, shape, dtype, asked) or _of_files(path, shape, dtype)
    if found is None:
        return None
    reason = _hindrance(dataset, found)
    if reason is not None and (found.layout not in ("file", "video") or asked):
        return Loss(path, f"{reason}: the dataset is copied as it is", 0)
    if reason is not None:
        return None
    return found if found.layout not in ("file", "video") else _sniffed(dataset, found)


def _raw(path: str, shape: tuple[int, ...], dtype: Any, asked: bool) -> Pictures | None:
    """Raw pixels, by shape and dtype."""
    layout: Layout
    if dtype.kind not in "uf" or dtype.names is not None:
        return None
    if len(shape) == 3:
        layout, (height, width), channels = "HW", shape[1:], 1
    elif len(shape) == 4 and shape[3] in _CHANNELS and (min(shape[1:3]) >= _SIDE_MIN or shape[1] not in _CHANNELS):
        layout, (height, width, channels) = "HWC", shape[1:]
    elif len(shape) == 4 and shape[1] in _CHANNELS:
        layout, (channels, height, width) = "CHW", shape[1:]
    else:
        return None
    encoding = _ENCODINGS.get((dtype.kind, dtype.itemsize, channels))
    if encoding is None:
        return None
    name = path.lower()
    doubtful = min(height, width) < _SIDE_MIN or (channels == 1 and _LABELS.search(name) is not None)
    # Floats are anything; those that are called depth are said to be kept, like a topic of 32FC1.
    if (doubtful and not asked) or (dtype.kind == "f" and not _DEPTH.search(name)):
        return None
    why = f"{dtype} {'x'.join(map(str, shape))} read as T,{','.join(layout)}"
    return Pictures(path, shape, dtype, layout, encoding, height, width, channels, why)


def _of_files(path: str, shape: tuple[int, ...], dtype: Any) -> Pictures | None:
    """What may hold image files, or a whole video: their bytes are yet to tell."""
    inner = h5py.check_vlen_dtype(dtype)
    text = h5py.check_string_dtype(dtype)
    if len(shape) == 1 and (
        (inner is not None and np.dtype(inner) == np.uint8)
        or text is not None
        or (dtype.kind == "V" and dtype.names is None and dtype.subdtype is None)
    ):
        return Pictures(path, shape, dtype, "file", "")
    if len(shape) == 2 and dtype == np.uint8:
        return Pictures(path, shape, dtype, "file", "")
    if len(shape) == 1 and dtype == np.uint8 and shape[0] > 64:
        return Pictures(path, shape, dtype, "video", "mp4")
    return None


def _hindrance(dataset: h5py.Dataset, found: Pictures) -> str | None:
    """Why a dataset that looks like pictures can't be read as such."""
    if any(name in dataset.attrs for name in RESERVED):
        return "it has attributes of MediaRef, and is no dataset of references"
    missing = missing_filter(dataset)
    if missing is not None:
        return f"its {missing} is not available"
    size = found.row_bytes
    if size is not None and size > MAX_STILL_BYTES:
        return f"a row of {size} bytes is more than a picture may have ({MAX_STILL_BYTES})"
    if dataset.chunks is not None:
        chunk = int(np.prod(dataset.chunks, dtype=np.float64)) * dataset.dtype.itemsize
        if chunk > _CHUNK_MAX:
            return f"its chunks of {chunk} bytes are more than is read at once ({_CHUNK_MAX})"
        needed = float(np.prod([-(-length // side) for length, side in zip(found.shape, dataset.chunks, strict=True)]))
        there = dataset.id.get_num_chunks()
        if there * 2 < needed:
            return f"only {there} of {needed:.0f} chunks are there, the rest was never written"
    elif dataset.id.get_storage_size() == 0:
        return "it was never written"
    return None


def _sniffed(dataset: h5py.Dataset, found: Pictures) -> Pictures | None:
    """With the kind of file that the first bytes tell; None if they tell of none."""
    if found.layout == "video":
        if sniff(dataset[:256].tobytes()) != "video/mp4":
            return None
        why = f"{found.shape[0]} bytes of MP4, told by their beginning"
        return Pictures(found.path, found.shape, found.dtype, "video", "mp4", why=why)
    for row in range(min(found.rows, _FIRST_ROWS)):
        value = dataset[row]
        head = (value if isinstance(value, bytes) else np.asarray(value).tobytes())[:256]
        if not head.rstrip(b"\0"):
            continue
        encoding = _FILES.get(sniff(head))
        if encoding is None:
            return None
        why = f"{encoding} files, told by the first bytes of row {row}"
        return Pictures(found.path, found.shape, found.dtype, "file", encoding, why=why)
    return None
