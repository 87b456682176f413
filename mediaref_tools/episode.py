"""A converted HDF5 episode, opened as h5py opens the file that it was: pictures are decoded as they are indexed.

A training script that says `h5py.File("episode_0.hdf5")` says `open_episode("episode_0/")` instead; the rest of it,
such as `root["/observations/images/cam_high"][start]`, stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import DatasetError, FrameError, TopicError, TrustError
from mediaref_tools.media.opening import open_still
from mediaref_tools.media.trust import inside
from mediaref_tools.reftable import NO_PTS, PTS, REPEATS, URI, holds_refs

__all__ = ["Episode", "EpisodeGroup", "EpisodePictures", "open_episode"]

_LINKS_MAX: Final = 32


def open_episode(dataset: str | PathLike[str]) -> Episode:
    """Open a dataset that `convert` made of an HDF5 file.

    Raises:
        DatasetError: It is no dataset, not of an HDF5 file, or that can't be read.

    Examples:
        >>> with mrt.open_episode("episode_0/") as root:
        ...     image = root["/observations/images/cam_high"][3]  # (H, W, 3) uint8, decoded
        ...     qpos = root["/observations/qpos"][3]  # as h5py reads it
        ...     print(image.shape, image.dtype, qpos.shape, root["/observations/images/cam_high"].shape)
        (64, 96, 3) uint8 (14,) (6, 64, 96, 3)
    """
    folder = Path(dataset)
    manifest = Manifest.read(folder)
    path = inside(folder, manifest.log)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"no HDF5 file, of {manifest.source.container}: {error}: {path}") from error
    return Episode(folder, file)


class EpisodeGroup(Mapping[str, Any]):
    """A group of an episode: names lead to groups, pictures, or h5py's own datasets; no link leads out of the file."""

    def __init__(self, group: h5py.Group, pictures: _Pictured) -> None:
        self._group, self._pictures = group, pictures

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} members)"

    @property
    def name(self) -> str:
        """Its path in the file."""
        return str(self._group.name)

    @property
    def attrs(self) -> Any:
        """The group's attributes: h5py's."""
        return self._group.attrs

    def __getitem__(self, path: str) -> Any:
        """What lies at a path below this group, or at an absolute one.

        Raises:
            TopicError: A KeyError: nothing does.
            TrustError: A link on the way leads to another file.
        """
        found = _resolved(self._group, path)
        if isinstance(found, h5py.Group):
            return EpisodeGroup(found, self._pictures)
        if isinstance(found, h5py.Dataset) and holds_refs(found.dtype) and REPEATS not in found.attrs:
            return self._pictures.of(found, str(found.name).lstrip("/"))
        if isinstance(found, h5py.Dataset) and holds_refs(found.dtype):
            return self._pictures.of(found, str(found.attrs[REPEATS]))
        return found

    def __contains__(self, path: object) -> bool:
        try:
            return isinstance(path, str) and _resolved(self._group, path) is not None
        except TopicError:
            return False
        except TrustError:
            return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


class Episode(EpisodeGroup):
    """An open episode: the root group. A context manager; made by `open_episode`. For one thread at a time.

    Attributes:
        path: The dataset's folder.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        super().__init__(file["/"], _Pictured(path, file))

    def close(self) -> None:
        """Close the file and the decoders. Safe to call again."""
        self._pictures.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Pictured:
    """Gives pictures for datasets of references; opens the decoder when the first is asked for."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path, self._file = path, file
        self._dataset: Dataset | None = None

    def of(self, refs: h5py.Dataset, topic: str) -> EpisodePictures:
        if self._dataset is None:
            self._dataset = open_dataset(self._path)
        if topic not in self._dataset:  # another link leads to the same references
            topic = next((name for name in self._dataset if _resolved(self._file, name) == refs), topic)
        if topic in self._dataset:
            return EpisodePictures(refs, _resolved(self._file, topic), self._dataset[topic])
        raise DatasetError(f"{refs.name} holds references that no topic of this dataset has: {self._path}")

    def close(self) -> None:
        if self._dataset is not None:
            self._dataset.close()
            self._dataset = None


class EpisodePictures:
    """Pictures that are decoded when they are indexed; shaped as the dataset that they were.

    Image files and videos come as (T, H, W, 3) RGB. Colours are the video's: RGB, or as the file swapped them where
    `attrs["channel_order"]` is "bgr".
    """

    def __init__(self, refs: h5py.Dataset, base: h5py.Dataset, topic: Any) -> None:
        self._refs, self._base, self._topic = refs, base, topic

    def __repr__(self) -> str:
        return f"EpisodePictures({self.name!r}, shape {self.shape}, {self.dtype})"

    @property
    def name(self) -> str:
        """The dataset's path in the file."""
        return str(self._refs.name)

    @property
    def attrs(self) -> Any:
        """The attributes that the pictures' dataset had, and those that say what it was: h5py's."""
        return self._refs.attrs

    def __len__(self) -> int:
        return int(self._refs.shape[0])

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """As of the array that `[:]` gives."""
        return (len(self), *self._first.shape)

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """uint8; uint16 for depth."""
        return self._first.dtype

    @cached_property
    def _first(self) -> NDArray[Any]:
        return np.asarray(self._decoded(np.zeros(1, np.int64))[0])

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Decode: an int gives one picture; slices, lists and arrays of ints or bools give several; `[()]` all.

        Further indices, as in `[3, 10:20]`, are applied to what was decoded.

        Raises:
            FrameError: A row does not exist, or can't be decoded.
        """
        rows, *rest = (key or (Ellipsis,)) if isinstance(key, tuple) else (key,)
        if rows is Ellipsis:
            return np.asarray(self._decoded(np.arange(len(self)))[(Ellipsis, *rest)])
        try:
            chosen = np.arange(len(self))[rows]
        except IndexError as error:
            raise FrameError(f"no row {rows!r} in the {len(self)} of {self.name}") from error
        decoded = self._decoded(np.atleast_1d(chosen))
        return np.asarray(decoded[(0, *rest)] if chosen.ndim == 0 else decoded[(slice(None), *rest)])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for start in range(0, len(self), 16):
            yield from self[start : start + 16]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """(len(rows), …) in the source's layout."""
        if len(rows) == 0:
            return np.empty((0, *self._first.shape), self.dtype)
        if self._refs == self._base:
            return self._laid_out(self._stored(rows))
        wanted = np.unique(rows)
        refs = {row: self._refs[row] for row in wanted.tolist()}
        places = {row: self._place(row, ref) for row, ref in refs.items()}
        shared = sorted({place for place in places.values() if place is not None})
        batch = self._stored(np.array(shared)) if shared else None
        found = []
        for row in rows.tolist():
            place = places[row]
            if place is not None and batch is not None:
                found.append(batch[shared.index(place)])
            else:
                found.append(open_still(_data_uri(refs[row], self.name, row), upright=False).array())
        return self._laid_out(np.stack(found))

    def _stored(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        # "native" gives transparency as well, where there is some.
        transparent = str(self._refs.attrs.get("source_encoding", "")) in ("rgba8", "bgra8")
        return np.asarray(self._topic.batch(rows, "native" if transparent else "natural").data)

    def _place(self, row: int, ref: Any) -> int | None:
        """Which row of the dataset that is repeated has this reference; None where it stands for itself."""
        if ref[PTS] == NO_PTS:
            return None
        for near in (row + 1, row):
            if near < len(self._base) and self._base[near] == ref:
                return near
        raise FrameError(f"row {row} of {self.name} has a reference that {self._base.name} has not beside it")

    def _laid_out(self, data: NDArray[Any]) -> NDArray[Any]:
        shape = tuple(self._refs.attrs.get("source_shape", ()))
        layout = self._refs.attrs.get("source_layout", "")
        if layout not in ("HWC", "CHW", "HW") or len(shape) != (3 if layout == "HW" else 4):
            return data
        channels = 1 if layout == "HW" else int(shape[3 if layout == "HWC" else 1])
        data = data if data.ndim == 4 else data[..., None]
        if channels == 1:
            data = data[..., :1]
        elif channels == 4 and data.shape[3] == 3:
            data = np.concatenate([data, np.full((*data.shape[:3], 1), 255, data.dtype)], axis=3)
        if layout == "HW":
            return data[..., 0]
        return data if layout == "HWC" else data.transpose(0, 3, 1, 2)


def _data_uri(ref: Any, name: str, row: int) -> str:
    uri = str(ref[URI].decode("utf-8", "replace"))
    if not uri.startswith("data:"):
        raise TrustError(f"row {row} of {name} refers to a file of its own, which is not followed: {uri}")
    return uri


def _resolved(group: h5py.Group, path: str) -> Any:
    """What a path leads to within the file; soft links are followed, external ones never."""
    parts = [part for part in path.split("/") if part not in ("", ".")][::-1]
    found: Any = group.file["/"] if path.startswith("/") else group
    followed = 0
    while parts:
        part = parts.pop()
        if not isinstance(found, h5py.Group) or part not in found:
            raise TopicError(f"nothing at {path!r} in {group.name}: no {part!r} in {found.name}")
        link = found.get(part, getlink=True)
        if isinstance(link, h5py.HardLink):
            found = found[part]
            continue
        followed += 1
        if not isinstance(link, h5py.SoftLink) or followed > _LINKS_MAX:
            raise TrustError(f"{found.name} {part!r} is a link out of the file, or in a circle: it is not followed")
        if link.path.startswith("/"):
            found = group.file["/"]
        parts += [each for each in link.path.split("/") if each not in ("", ".")][::-1]
    if isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise TrustError(f"the data of {found.name} lies in other files, which are not opened")
    return found
