"""Columns of references, of pandas, polars, pyarrow, NumPy or a plain list: decoded with one call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mediaref_tools.errors import RefError
from mediaref_tools.media.decoding import batch_decode
from mediaref_tools.media.mediaref import MediaRef, fault
from mediaref_tools.media.opening import DecoderName
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.uri import shown

__all__ = ["decode_column", "to_refs"]

_EXPECTED = 'expected a MediaRef, a dict of uri and pts_ns, or JSON such as {"uri": "video.mp4", "pts_ns": 0}'


def decode_column(
    column: Iterable[Any],
    base_path: str | PathLike[str] | None = None,
    *,
    decoder: DecoderName = "pyav",
    decoder_options: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    allow_images: bool = True,
    allow_multi_video: bool = True,
    allow_gap: bool = True,
    gap_threshold: float = 10.0,
) -> list[NDArray[np.uint8]]:
    """Decode a column of references: each video is opened once, its frames decoded in order.

    Args:
        column: As in `to_refs`. Its references are trusted: nothing keeps them to a folder.
        base_path: The folder (or the uri of one) that completes relative paths: where the table lies, usually. None
            takes them from the working directory.
        decoder, decoder_options, storage_options, allow_images, allow_multi_video, allow_gap, gap_threshold: As in
            `batch_decode`.

    Returns:
        An (H, W, 3) uint8 RGB array for each row, in their order. Repeats share one array.

    Raises:
        TypeError: It is no column.
        RefError: A row is null or holds no reference; the message names it.
        MediarefError: As `batch_decode`.
    """
    refs = to_refs(column)
    if base_path is not None:
        refs = [ref.resolve_relative_path(base_path, on_unresolvable="ignore") for ref in refs]
    return batch_decode(
        refs,
        decoder,
        decoder_options=decoder_options,
        storage_options=storage_options,
        allow_images=allow_images,
        allow_multi_video=allow_multi_video,
        allow_gap=allow_gap,
        gap_threshold=gap_threshold,
    )


def to_refs(column: Iterable[Any]) -> list[MediaRef]:
    """The references of a column, in the order of its rows.

    Args:
        column: A pandas or polars Series, a pyarrow Array or ChunkedArray, a flat NumPy array, a list, or whatever
            can be gone through. Each row is a MediaRef, a dict (Arrow's struct) or JSON text.

    Raises:
        TypeError: It is no column: one value, a whole table, or an array of more dimensions.
        RefError: A row is null or holds no reference; the message names it, counted from 0.
    """
    return [_ref(value, row) for row, value in enumerate(_rows(column))]


def _rows(column: Iterable[Any]) -> Iterable[Any]:
    """The values of a column as Python's own."""
    kind = type(column)
    if isinstance(column, (str, bytes, Mapping, MediaRef)):
        raise TypeError(f"a column of references is expected, this is one {kind.__name__}: pass [it]")
    # Asked of the type: polars warns when a lazy table is asked for its columns.
    if hasattr(kind, "columns") or hasattr(kind, "column_names"):
        raise TypeError(f"a column of references is expected, this {kind.__name__} is a table: pass one of its columns")
    if getattr(column, "ndim", 1) != 1:
        raise TypeError(f"a column of references is expected, this {kind.__name__} is not flat")
    for name in ("to_pylist", "to_list", "tolist"):
        listed = getattr(column, name, None)
        if callable(listed):
            values: Iterable[Any] = listed()
            return values
    if not isinstance(column, Iterable):
        raise TypeError(f"a column of references is expected, not a {kind.__name__}")
    return column


def _ref(value: object, row: int) -> MediaRef:
    try:
        if isinstance(value, MediaRef):
            return value
        if isinstance(value, Mapping):
            return MediaRef.model_validate(dict(value))
        if isinstance(value, str):
            return MediaRef.model_validate_json(value)
    except ValidationError as error:
        raise RefError(f"row {row} holds no reference: {fault(error)}: {_EXPECTED}: {shown(str(value))}") from error
    # pandas has three nulls that are not None: a NaN, NA and NaT.
    is_nan = isinstance(value, float) and math.isnan(value)
    if value is None or is_nan or type(value).__name__ in ("NAType", "NaTType"):
        raise RefError(f"row {row} is null: leave null rows out before decoding, or fill them")
    raise RefError(f"row {row} holds no reference but a {type(value).__name__}: {_EXPECTED}: {shown(str(value))}")
