"""The frames table: rows in, parquet that everybody can open, rows out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import SCHEMA, FrameParts, FramesTable
from mediaref_tools.dataset.layout import FRAMES
from mediaref_tools.errors import DatasetError

# Spelt out here, so that a change of the table is a decision and not an accident.
COLUMNS = {
    "topic": "dictionary<values=string, indices=int32, ordered=0>",
    "index": "int64",
    "log_time_ns": "int64",
    "publish_time_ns": "int64",
    "stamp_ns": "int64",
    "frame_id": "string",
    "media": "struct<uri: string, pts_ns: int64>",
    "keyframe": "bool",
    "width": "int32",
    "height": "int32",
    "source_encoding": "string",
    "source_format": "string",
    "source_framing": "string",
    "source_layout": "string",
    "source_rest": "binary",
    "source_envelope": "binary",
    "source_digest": "binary",
    "byte_offset": "int64",
    "byte_size": "int64",
    "psnr_db": "float",
    "status": "dictionary<values=string, indices=int8, ordered=0>",
}
START_NS = 1_700_000_000_123_456_789


def row(index: int, uri: str = "media/cam/000000.mp4") -> FrameRow:
    return FrameRow(
        index=index,
        log_time_ns=START_NS + index * 33_333_333,
        publish_time_ns=START_NS + index * 33_333_333 - 700_001,
        stamp_ns=-(2**63) if index == 1 else START_NS - index,
        frame_id="camera_é",
        uri=uri,
        pts_ns=index * 33_333_000,
        keyframe=index % 15 == 0,
        width=641,
        height=479,
        source_encoding="",
        source_format="rgb8; jpeg compressed bgr8",
        source_framing="",
        byte_offset=48 + index * 1000,
        byte_size=999 + index,
        status="video",
    )


def embedded(index: int) -> FrameRow:
    return replace(
        row(index, f"data:image/png;base64,{'A' * 64}"),
        publish_time_ns=None,
        stamp_ns=None,
        pts_ns=None,
        byte_offset=None,
        byte_size=None,
        frame_id="",
        source_encoding="rgba8",
        source_format="",
        status="embedded",
    )


CAM = [[row(n) for n in range(20)], [embedded(20)], [row(n, "media/cam/000001.mp4") for n in range(21, 40)]]
LEFT = [[row(n, "media/left/000000.mp4") for n in range(3)]]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two topics, one of them in three parts, added turn by turn and not in the table's order."""
    parts = FrameParts(tmp_path / "scratch" / "parts")
    parts.add("/left", LEFT[0])
    for part in CAM:
        parts.add("/cam", part)
    (tmp_path / "set").mkdir()
    parts.join(["/left", "/cam"], tmp_path / "set" / FRAMES)
    return tmp_path / "set"


@pytest.fixture
def table(dataset: Path) -> Iterator[FramesTable]:
    frames = FramesTable(dataset)
    yield frames
    frames.close()


def test_schema_is_exactly_the_contract(dataset: Path) -> None:
    file = pq.ParquetFile(dataset / FRAMES)
    assert {field.name: str(field.type) for field in file.schema_arrow} == COLUMNS
    assert list(COLUMNS) == SCHEMA.names == file.schema_arrow.names
    nullable = {field.name for field in file.schema_arrow if field.nullable}
    restoring = {"source_layout", "source_rest", "source_envelope", "source_digest"}
    assert nullable == {"publish_time_ns", "stamp_ns", "byte_offset", "byte_size", "psnr_db"} | restoring
    media = file.schema_arrow.field("media").type
    assert [(part.name, part.type) for part in media] == [("uri", pa.string()), ("pts_ns", pa.int64())]


def test_file_carries_no_librarys_own_metadata(dataset: Path) -> None:
    file = pq.ParquetFile(dataset / FRAMES)
    assert set(file.metadata.metadata) == {b"ARROW:schema"}
    assert not (file.schema_arrow.metadata or {})
    assert all(not {key for key in field.metadata or {} if key != b"PARQUET:field_id"} for field in file.schema_arrow)


def test_parts_are_joined_by_topic_in_order_and_rows_come_back(table: FramesTable) -> None:
    assert table.topics == ("/cam", "/left")
    assert len(table) == 43
    assert list(table.rows("/cam")) == [row for part in CAM for row in part]
    assert list(table.rows("/left")) == LEFT[0]
    assert list(table.rows("/none")) == []
    assert table.column("/cam", "log_time_ns").to_pylist() == [row.log_time_ns for part in CAM for row in part]


def test_many_parts_stay_in_order(tmp_path: Path) -> None:
    parts = FrameParts(tmp_path / "parts")
    for number in range(12):
        parts.add("/cam", [row(number)])
    parts.join(["/cam"], tmp_path / FRAMES)
    assert [found.index for found in FramesTable(tmp_path).rows("/cam")] == list(range(12))


def test_topics_whose_names_could_collide_stay_apart(tmp_path: Path) -> None:
    parts = FrameParts(tmp_path / "parts")
    names = ["/a/b", "/a_b", "/a-b", "a/b", "/A/b", "/", "", "/é"]
    for number, name in enumerate(names):
        parts.add(name, [row(number)])
    parts.join(names, tmp_path / FRAMES)
    table = FramesTable(tmp_path)
    assert list(table.topics) == sorted(names)
    assert [[found.index for found in table.rows(name)] for name in names] == [[n] for n in range(len(names))]


def test_a_table_without_topics_is_a_table(tmp_path: Path) -> None:
    FrameParts(tmp_path / "parts").join([], tmp_path / FRAMES)
    table = FramesTable(tmp_path)
    assert (len(table), table.topics) == (0, ())
    assert table.int64("/cam", "index", -1).shape == (0,)


def test_columns_reach_into_the_struct_and_fill_nulls(table: FramesTable) -> None:
    pts = table.int64("/cam", "media.pts_ns", -1)
    assert pts.dtype == np.int64
    assert pts.tolist() == [n * 33_333_000 if n != 20 else -1 for n in range(40)]
    assert table.column("/cam", "media.uri").to_pylist()[20].startswith("data:image/png")
    stamps = table.int64("/cam", "stamp_ns", 7)
    assert (stamps[1], stamps[20]) == (-(2**63), 7)
    assert table.column("/cam", "status").to_pylist().count("embedded") == 1


def test_psnr_is_null_until_it_is_filled(table: FramesTable, tmp_path: Path) -> None:
    assert table.column("/cam", "psnr_db").null_count == 40
    values = {"/cam": np.linspace(30, 45, 40, dtype=np.float32), "/left": np.array([1.5, np.inf, 99], np.float32)}
    values["/cam"][20] = np.nan
    (tmp_path / "new").mkdir()
    before = {topic: list(table.rows(topic)) for topic in table.topics}
    table.with_psnr(values, tmp_path / "new" / FRAMES)
    filled = FramesTable(tmp_path / "new")
    got = filled.column("/cam", "psnr_db")
    assert got.null_count == 1
    assert got.to_pylist()[20] is None
    np.testing.assert_array_equal(got.to_numpy(), values["/cam"])
    assert filled.column("/left", "psnr_db").to_pylist() == [1.5, float("inf"), 99]
    assert {topic: list(filled.rows(topic)) for topic in filled.topics} == before
    test_schema_is_exactly_the_contract(tmp_path / "new")
    test_file_carries_no_librarys_own_metadata(tmp_path / "new")


def test_row_groups_hold_one_topic_and_at_most_one_part(dataset: Path) -> None:
    metadata = pq.ParquetFile(dataset / FRAMES).metadata
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [20, 1, 19, 3]


def test_others_open_it(dataset: Path) -> None:
    """pyarrow in its plainest call."""
    rows = pq.read_table(dataset / FRAMES).to_pylist()
    assert [found["topic"] for found in rows] == ["/cam"] * 40 + ["/left"] * 3
    assert rows[2]["media"] == {"uri": "media/cam/000000.mp4", "pts_ns": 66_666_000}
    assert rows[20]["media"]["pts_ns"] is None


def test_pandas_opens_it(dataset: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.read_parquet(dataset / FRAMES)
    assert frame["media"][2] == {"uri": "media/cam/000000.mp4", "pts_ns": 66_666_000}
    assert list(frame.columns) == list(COLUMNS)


def test_duckdb_opens_it(dataset: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    found = duckdb.sql(
        f"select topic, media.pts_ns from '{dataset / FRAMES}' where index = 2 order by topic"
    ).fetchall()
    assert found == [("/cam", 66_666_000), ("/left", 66_666_000)]


def test_a_missing_table_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"can't be read.*{tmp_path / FRAMES}"):
        FramesTable(tmp_path)
    (tmp_path / FRAMES).mkdir()
    with pytest.raises(DatasetError):
        FramesTable(tmp_path)


@pytest.mark.parametrize("length", [0, 3, 4, 100, -1, -8, -200])
def test_a_cut_table_is_an_error(dataset: Path, length: int) -> None:
    path = dataset / FRAMES
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DatasetError):
        FramesTable(dataset)


def test_another_table_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"topic": ["/cam"], "uri": ["x.mp4"]}), tmp_path / FRAMES)
    with pytest.raises(DatasetError, match="other columns or types"):
        FramesTable(tmp_path)


def test_a_row_group_of_two_topics_is_an_error(dataset: Path) -> None:
    table = pq.read_table(dataset / FRAMES)
    pq.write_table(table, dataset / FRAMES)
    with pytest.raises(DatasetError, match="no single topic in row group 0"):
        FramesTable(dataset)


@pytest.mark.parametrize(
    ("name", "kind"), [("log_time_ns", pa.string()), ("media", pa.string()), ("index", pa.float64())]
)
def test_columns_of_other_types_are_an_error(dataset: Path, name: str, kind: pa.DataType) -> None:
    table = pq.read_table(dataset / FRAMES).slice(0, 20)
    changed = pa.array(["x"] * 20) if kind == pa.string() else table.column(name).cast(kind)
    at = table.schema.get_field_index(name)
    pq.write_table(table.set_column(at, pa.field(name, kind), changed), dataset / FRAMES)
    with pytest.raises(DatasetError):
        FramesTable(dataset)


def test_damage_inside_gives_rows_or_dataset_error(dataset: Path) -> None:
    """Pages have no checksum: a flipped byte may give other values, but no other exception."""
    path = dataset / FRAMES
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    noticed, others = 0, set()
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[rng.integers(4, len(whole) - 8)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            table = FramesTable(dataset)
            for topic in table.topics:
                list(table.rows(topic))
                table.int64(topic, "media.pts_ns", -1)
            table.close()
        except DatasetError:
            noticed += 1
        except Exception as error:
            others.add(repr(error)[:200])
    assert noticed > 50
    assert not others


def test_any_thread_may_ask_at_once(table: FramesTable) -> None:
    expected = {topic: list(table.rows(topic)) for topic in table.topics}
    failed: list[str] = []

    def read(topic: str) -> None:
        for _ in range(20):
            if list(table.rows(topic)) != expected[topic]:
                failed.append(topic)
            if table.int64(topic, "index", -1).tolist() != [found.index for found in expected[topic]]:
                failed.append(topic)

    threads = [threading.Thread(target=read, args=(topic,)) for topic in table.topics * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
