"""Columns of references, of every library that people keep them in, decoded with one call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.errors import FrameError, MediaNotFound, RefError
from mediaref_tools.samples.scene import frame_number, numbered_image
from tests.fixtures.make import DATASETS
from tests.smallvideos import write_video

STEP = 40
ORDER = (3, 500, 0, 3, 7)  # numbers: frames of the video in any order, and a still
FORM = pa.struct([("uri", pa.string()), ("pts_ns", pa.int64())])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`clips/a.mp4`, whose frame i shows the number i, and `still.png`, which shows 500."""
    folder = tmp_path_factory.mktemp("columns")
    (folder / "clips").mkdir()
    write_video(folder / "clips" / "a.mp4", [STEP * number for number in range(10)], last_ms=STEP)
    Image.fromarray(numbered_image(500, 96, 64)).save(folder / "still.png")
    return folder


def rows() -> list[dict[str, Any]]:
    return [
        {"uri": "still.png", "pts_ns": None}
        if number == 500
        else {"uri": "clips/a.mp4", "pts_ns": STEP * number * 1_000_000}
        for number in ORDER
    ]


def refs() -> list[mrt.MediaRef]:
    return [mrt.MediaRef(**row) for row in rows()]


def texts() -> list[str]:
    return [ref.to_json() for ref in refs()]


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


COLUMNS: dict[str, Callable[[], Any]] = {
    "list of MediaRef": refs,
    "list of dicts": rows,
    "list of JSON": texts,
    "list of all three": lambda: [refs()[0], rows()[1], texts()[2], refs()[3], rows()[4]],
    "tuple": lambda: tuple(refs()),
    "generator": lambda: (ref for ref in refs()),
    "numpy of MediaRef": lambda: objects(refs()),
    "numpy of dicts": lambda: objects(rows()),
    "numpy of JSON": lambda: np.array(texts()),
    "pandas of MediaRef": lambda: pd.Series(refs()),
    "pandas of dicts": lambda: pd.Series(rows(), index=[7, 7, 1, 0, -5]),
    "pandas of JSON": lambda: pd.Series(texts()),
    "pandas of Arrow structs": lambda: pd.Series(rows(), dtype=pd.ArrowDtype(FORM)),
    "pandas from Arrow": lambda: pa.array(rows(), FORM).to_pandas(),  # pts_ns become floats, beside a still
    "polars of MediaRef": lambda: pl.Series(refs(), dtype=pl.Object),
    "polars of structs": lambda: pl.Series(rows()),
    "polars of JSON": lambda: pl.Series(texts()),
    "pyarrow Array": lambda: pa.array(rows(), FORM),
    "pyarrow slice": lambda: pa.array([None, *rows(), None], FORM).slice(1, len(ORDER)),
    "pyarrow ChunkedArray": lambda: pa.chunked_array([pa.array(rows()[:2], FORM), pa.array(rows()[2:], FORM)]),
    "pyarrow of JSON": lambda: pa.array(texts()).dictionary_encode(),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_every_column_gives_the_same_pictures_and_references(folder: Path, column: Callable[[], Any]) -> None:
    pictures = mrt.decode_column(column(), folder)
    assert [frame_number(picture) for picture in pictures] == list(ORDER)
    assert {(picture.shape, picture.dtype) for picture in pictures} == {((64, 96, 3), np.dtype(np.uint8))}
    found = mrt.to_refs(column())
    assert [(ref.uri, ref.pts_ns) for ref in found] == [(row["uri"], row["pts_ns"]) for row in rows()]
    assert {type(ref) for ref in found} == {mrt.MediaRef}


@pytest.mark.parametrize("empty", [[], pd.Series([], dtype=object), pl.Series([], dtype=pl.Object), pa.array([], FORM)])
def test_an_empty_column_is_an_empty_list(empty: Any) -> None:
    assert mrt.decode_column(empty, "nowhere") == []


def test_a_frames_table_decodes_from_pandas_and_polars(tmp_path: Path) -> None:
    """No topic of the dataset is opened: the table and its folder are enough."""
    table = pq.read_table(DATASETS[1] / "frames.parquet")
    pick = [5, 23, 0]
    for column in (
        table.to_pandas()["media"].iloc[pick],
        pl.read_parquet(DATASETS[1] / "frames.parquet")["media"][pick],
    ):
        assert [frame_number(picture) for picture in mrt.decode_column(column, DATASETS[1])] == pick


def test_paths_are_completed_by_the_base_and_nothing_else_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = mrt.MediaRef(uri=mrt.DataURI.from_image(numbered_image(9, 96, 64)))
    absolute = mrt.MediaRef(uri=str(folder / "clips" / "a.mp4"), pts_ns=0)
    column = [embedded, absolute, absolute.model_copy(update={"uri": (folder / "clips" / "a.mp4").as_uri()})]
    assert [frame_number(picture) for picture in mrt.decode_column(column, "/nowhere")] == [9, 0, 0]
    with pytest.raises(MediaNotFound, match=re.escape(str(tmp_path / "still.png"))):
        mrt.decode_column(rows(), tmp_path)
    monkeypatch.chdir(folder)
    assert [frame_number(picture) for picture in mrt.decode_column(rows())] == list(ORDER)


def test_what_batch_decode_takes_is_handed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefError, match="allow_images is False"):
        mrt.decode_column(rows(), folder, allow_images=False)
    far = [{"uri": "clips/a.mp4", "pts_ns": 0}, {"uri": "clips/a.mp4", "pts_ns": 360_000_000}]
    with pytest.raises(FrameError, match=r"gap_threshold=0\.3"):
        mrt.decode_column(far, folder, allow_gap=False, gap_threshold=0.3)
    assert len(mrt.decode_column(far, folder, allow_gap=False, gap_threshold=0.36)) == 2
    taken = {name: parameter.default for name, parameter in inspect.signature(mrt.batch_decode).parameters.items()}
    del taken["refs"]
    ours = {name: parameter.default for name, parameter in inspect.signature(mrt.decode_column).parameters.items()}
    assert ours == {"column": inspect.Parameter.empty, "base_path": None, **taken}
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "mediaref_tools.media.columns.batch_decode",
        lambda refs, decoder, **options: seen.update(options, decoder=decoder),
    )
    given: dict[str, Any] = {name: object() for name in taken}
    mrt.decode_column(rows(), folder, **given)
    assert seen == given


@pytest.mark.parametrize(
    "column",
    [
        [refs()[0], None],
        pd.Series([texts()[0], None]),
        pd.Series([texts()[0], None], dtype="string"),
        pd.Series([rows()[0], float("nan")]),
        pd.Series([rows()[0], pd.NaT], dtype=object),
        pd.Series([rows()[0], None], dtype=pd.ArrowDtype(FORM)),
        pl.Series([rows()[0], None]),
        pl.Series([texts()[0], None]),
        pa.array([rows()[0], None], FORM),
        pa.chunked_array([pa.array([rows()[0]], FORM), pa.array([None], FORM)]),
        objects([rows()[0], None]),
    ],
    ids=lambda column: type(column).__name__,
)
def test_a_null_row_is_named(column: Any) -> None:
    for call in (mrt.to_refs, mrt.decode_column):
        with pytest.raises(RefError, match="row 1 is null"):
            call(column)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"uri": "a.mp4", "pts_ns": -1}, "pts_ns: .*greater than or equal to 0"),
        ({"uri": None, "pts_ns": 1}, "uri: .*string"),
        ({"uri": ""}, "uri: .*at least 1"),
        ({"pts_ns": 3}, "uri: Field required"),
        ({"uri": "a.mp4", "pts_ns": 2.5}, "whole number of nanoseconds"),
        ({"uri": "a.mp4", "pts_ns": 2.0**60}, "float that names none exactly"),
        ({"uri": "a.mp4", "pts_ns": 1, "fps": 30}, "fps: Extra inputs"),
        ("a.png", "Invalid JSON"),
        ('{"uri": "a.png"', "Invalid JSON"),
        ("[]", "valid dictionary|object"),
        (b'{"uri": "a.png"}', "a bytes"),
        (3, "an? int"),
        (("a.mp4", 0), "a tuple"),
        (np.zeros(3), "a ndarray"),
    ],
)
def test_a_row_that_holds_no_reference_is_named(value: Any, said: str) -> None:
    with pytest.raises(RefError, match=rf"row 2 holds no reference.*({said}).*expected a MediaRef, a dict"):
        mrt.to_refs([refs()[0], rows()[1], value])


def test_a_long_row_is_cut_in_messages() -> None:
    with pytest.raises(RefError) as caught:
        mrt.to_refs([{"uri": "data:image/png;base64," + "A" * 100_000, "pts_ns": -3}])
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (refs()[0], "one MediaRef"),
        (rows()[0], "one dict"),
        (texts()[0], "one str"),
        (None, "NoneType"),
        (3, "int"),
        (pd.DataFrame({"media": refs()}), "DataFrame is a table"),
        (pl.DataFrame({"media": rows()}), "DataFrame is a table"),
        (pl.LazyFrame({"media": rows()}), "LazyFrame is a table"),
        (pa.table({"media": pa.array(rows(), FORM)}), "Table is a table"),
        (objects(refs()).reshape(1, -1), "not flat"),
        (np.array(refs()[0], dtype=object), "not flat"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_column_is_a_type_error(column: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"a column of references is expected.*{said}"):
        mrt.to_refs(column)
