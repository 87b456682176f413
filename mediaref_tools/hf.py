"""A feature of Hugging Face `datasets` for columns of references: rows become MediaRef objects.

Importing this module makes the feature type "MediaRef" known, which opening a dataset that was saved with it needs. A
table for everyone is plain parquet of `struct<uri: string, pts_ns: int64>`; whoever wants objects casts it::

    dataset = load_dataset("parquet", data_files="drive/frames.parquet", split="train")
    dataset = dataset.cast_column("media", MediaRefFeature())
"""

from __future__ import annotations

import warnings
from collections.abc import ItemsView, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import ValidationError

from mediaref_tools.dataset.frames import MEDIAREF
from mediaref_tools.errors import RefError
from mediaref_tools.extra import extra_module
from mediaref_tools.media.mediaref import MediaRef, fault

__all__ = ["MediaRefFeature"]

_features = extra_module("datasets.features.features", "hf")


class _RowRef(MediaRef):
    """A MediaRef of a row. `Dataset.map` writes the rows that its function looked at anew, and knows mappings only."""

    def items(self) -> ItemsView[str, object]:
        return {"uri": self.uri, "pts_ns": self.pts_ns}.items()


Mapping.register(_RowRef)


@dataclass
class MediaRefFeature:
    """A column of references, stored as `struct<uri: string, pts_ns: int64>`.

    Rows are given as MediaRef objects or dicts. Nothing is fetched or decoded: `MediaRef.to_ndarray`, `decode_column`
    and `batch_decode` do that. `with_format("torch")` makes no tensors of MediaRef objects: cast with
    `decode=False` before it.

    Args:
        decode: True gives rows out as MediaRef objects, False as dicts.
    """

    decode: bool = True
    id: str | None = field(default=None, repr=False)
    dtype: ClassVar[str] = "mediaref_tools.MediaRef"
    pa_type: ClassVar[Any] = MEDIAREF
    _type: str = field(default="MediaRef", init=False, repr=False)

    def __call__(self) -> Any:
        """The Arrow type of the storage."""
        return self.pa_type

    def encode_example(self, value: MediaRef | Mapping[str, Any]) -> dict[str, Any]:
        """What is stored of a row.

        Raises:
            RefError: It is no reference.
        """
        ref = value if isinstance(value, MediaRef) else _ref(value)
        return {"uri": ref.uri, "pts_ns": ref.pts_ns}

    def decode_example(
        self,
        value: Mapping[str, Any],
        token_per_repo_id: Mapping[str, Any] | None = None,  # noqa: ARG002 - `datasets` passes it
    ) -> MediaRef:
        """What a stored row is given out as.

        Raises:
            RefError: It is no reference.
        """
        ref = _ref(value)
        return _RowRef.model_construct(uri=ref.uri, pts_ns=ref.pts_ns)

    def cast_storage(self, storage: Any) -> Any:
        """A plain struct array as this feature's storage: uri of any text type, pts_ns of any integers, or absent.

        Raises:
            RefError: It is no column of references.
        """
        if pa.types.is_null(storage.type):
            return pa.nulls(len(storage), MEDIAREF)
        names = [child.name for child in storage.type] if pa.types.is_struct(storage.type) else []
        if sorted(names) not in (["uri"], ["pts_ns", "uri"]):
            raise RefError(f"a column of {storage.type} holds no references: expected {MEDIAREF}")
        children = dict(zip(names, storage.flatten(), strict=True))
        try:
            uri = children["uri"].cast(pa.string())
            pts_ns = children["pts_ns"].cast(pa.int64()) if "pts_ns" in children else pa.nulls(len(storage), pa.int64())
        except pa.ArrowException as error:
            raise RefError(f"a column of {storage.type} can't become {MEDIAREF}: {error}") from error
        return pa.StructArray.from_arrays([uri, pts_ns], fields=list(MEDIAREF), mask=storage.is_null())

    def flatten(self) -> Any:
        """The features of the plain columns that `Dataset.flatten` makes of this one."""
        value = _features.Value
        return self if self.decode else {"uri": value("string"), "pts_ns": value("int64")}


def _ref(value: object) -> MediaRef:
    try:
        return MediaRef.model_validate(dict(value) if isinstance(value, Mapping) else value)
    except ValidationError as error:
        raise RefError(f"no reference: {fault(error)}: expected a MediaRef, or a dict of uri and pts_ns") from error


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # registering a feature is experimental, says each call
    _features.register_feature(MediaRefFeature, "MediaRef")
