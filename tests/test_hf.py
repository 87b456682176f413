"""The feature of Hugging Face `datasets`: plain tables read by casting, objects out, and back to disk."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mediaref_tools as mrt
from mediaref_tools.errors import RefError
from mediaref_tools.sample import frame_number
from tests.fixtures.make import DATASETS

datasets = pytest.importorskip("datasets", reason="Hugging Face `datasets` is not installed")

from mediaref_tools.hf import MediaRefFeature  # noqa: E402

FORM = pa.struct([("uri", pa.string()), ("pts_ns", pa.int64())])
ROWS: list[dict[str, Any]] = [
    {"uri": "a.mp4", "pts_ns": 0},
    {"uri": "a.mp4", "pts_ns": 2**60 + 1},
    {"uri": "b.png", "pts_ns": None},
]
REFS = [mrt.MediaRef(**row) for row in ROWS]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache outside of the test, no bars, nothing asked of a network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def load(path: Path, **options: Any) -> Any:
    cache = str(path.parent / "cache") if os.access(path.parent, os.W_OK) and path.parent != DATASETS[1] else None
    return datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=cache, **options)


def plain(path: Path, column: pa.Array) -> Path:
    pq.write_table(pa.table({"media": column}), path)
    return path


def test_our_frames_table_is_read_by_casting() -> None:
    rows = load(DATASETS[1] / "frames.parquet")
    assert "MediaRef" not in repr(rows.features)
    cast = rows.cast_column("media", MediaRefFeature())
    table = pq.read_table(DATASETS[1] / "frames.parquet")["media"].to_pylist()
    assert cast["media"][:] == [mrt.MediaRef(**row) for row in table]
    assert isinstance(cast[0]["media"], mrt.MediaRef)
    assert cast.features["media"] == MediaRefFeature(decode=True)
    assert cast.cast_column("media", MediaRefFeature(decode=False))["media"][:] == table
    pictures = mrt.decode_column(cast.select([9, 0, 23])["media"], DATASETS[1])
    assert [frame_number(picture) for picture in pictures] == [9, 0, 23]
    streamed = load(DATASETS[1] / "frames.parquet", streaming=True).cast_column("media", MediaRefFeature())
    assert [row["media"] for row in streamed] == cast["media"][:]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(ROWS, FORM),
        pa.array(ROWS, pa.struct([("pts_ns", pa.int64()), ("uri", pa.large_string())])),
        pa.array(ROWS, pa.struct([("uri", pa.string()), ("pts_ns", pa.uint64())])),
        pa.array(ROWS, FORM).slice(1),
        pa.StructArray.from_arrays([pa.array([row["uri"] for row in ROWS]).dictionary_encode()], names=["uri"]),
    ],
    ids=["plain", "turned round", "unsigned", "slice", "uris alone"],
)
def test_plain_tables_of_others_are_read_by_casting(tmp_path: Path, column: pa.Array) -> None:
    cast = load(plain(tmp_path / "t.parquet", column)).cast_column("media", MediaRefFeature())
    assert cast["media"][:] == [mrt.MediaRef(**row) for row in column.to_pylist()]
    assert cast.data.schema.field("media").type == FORM


def test_null_rows_stay_null(tmp_path: Path) -> None:
    column = pa.array([ROWS[0], None, ROWS[2], None], FORM)
    for decode, rows in ((True, REFS), (False, ROWS)):
        cast = load(plain(tmp_path / "t.parquet", column)).cast_column("media", MediaRefFeature(decode))
        assert cast["media"][:] == [rows[0], None, rows[2], None]
    assert MediaRefFeature().cast_storage(pa.nulls(3)) == pa.nulls(3, FORM)
    part = MediaRefFeature().cast_storage(column.slice(1, 2))
    assert part.to_pylist() == [None, ROWS[2]]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array(["a.mp4"]), "a column of string holds no references"),
        (pa.array([{"uri": "a", "pts_ns": 1, "fps": 30}]), "holds no references"),
        (pa.array([{"pts_ns": 1}]), "holds no references"),
        (pa.array([{"uri": "a", "pts_ns": 1.5}]), "can't become .*pts_ns: int64.*1.5"),
        (
            pa.array([{"uri": "a", "pts_ns": 2**63}], pa.struct([("uri", pa.string()), ("pts_ns", pa.uint64())])),
            "can't",
        ),
    ],
)
def test_columns_that_hold_none_are_refused(column: pa.Array, said: str) -> None:
    with pytest.raises(RefError, match=said):
        MediaRefFeature().cast_storage(column)


def test_objects_and_dicts_go_in_and_come_back_from_disk_and_parquet(tmp_path: Path) -> None:
    features = datasets.Features({"r": MediaRefFeature(), "many": [MediaRefFeature()]})
    given = {"r": [REFS[0], ROWS[1], {"uri": "b.png"}, None], "many": [[REFS[0], ROWS[1]], [], [REFS[2]], []]}
    rows = datasets.Dataset.from_dict(given, features=features)
    assert rows.data.schema.field("r").type == FORM
    expected = {"r": [*REFS, None], "many": [REFS[:2], [], [REFS[2]], []]}
    assert rows[:] == expected
    rows.save_to_disk(str(tmp_path / "saved"))
    rows.to_parquet(str(tmp_path / "rows.parquet"))
    for again in (datasets.load_from_disk(str(tmp_path / "saved")), load(tmp_path / "rows.parquet")):
        assert again.features["r"] == MediaRefFeature()
        assert again[:] == expected
    undecoded = rows.cast_column("r", MediaRefFeature(decode=False))
    undecoded.save_to_disk(str(tmp_path / "undecoded"))
    assert datasets.load_from_disk(str(tmp_path / "undecoded"))["r"][:] == [*ROWS, None]
    flat = undecoded.remove_columns("many").flatten()
    assert flat.column_names == ["r.uri", "r.pts_ns"]
    # Whoever lacks the feature reads the storage all the same, with any other reader.
    assert pq.read_table(tmp_path / "rows.parquet")["r"].to_pylist() == [*ROWS, None]


@pytest.mark.parametrize("value", ["a.png", 3, {"uri": "a", "pts_ns": -1}, {"uri": "a", "fps": 3}, {"pts_ns": 0}])
def test_what_is_no_reference_is_refused(value: Any) -> None:
    features = datasets.Features({"r": MediaRefFeature()})
    with pytest.raises(RefError, match="no reference"):
        datasets.Dataset.from_dict({"r": [value]}, features=features)
    with pytest.raises(RefError, match="no reference"):
        MediaRefFeature().decode_example(value)


def test_rows_that_are_looked_at_can_be_mapped_filtered_and_pickled() -> None:
    rows = datasets.Dataset.from_dict({"r": REFS}, features=datasets.Features({"r": MediaRefFeature()}))
    mapped = rows.map(lambda row: {"still": not row["r"].is_video})
    assert mapped[:] == {"r": REFS, "still": [False, False, True]}
    assert mapped.features["r"] == MediaRefFeature()
    batched = rows.map(lambda batch: {"n": [len(ref.uri) for ref in batch["r"]]}, batched=True)
    assert batched[:] == {"r": REFS, "n": [5, 5, 5]}
    assert rows.filter(lambda row: row["r"].pts_ns)["r"][:] == [REFS[1]]
    ref = pickle.loads(pickle.dumps(rows[0]["r"]))
    assert (ref, hash(ref), repr(ref)) == (REFS[0], hash(REFS[0]), repr(REFS[0]))
    assert ref.model_dump_json() == REFS[0].model_dump_json()
    assert mrt.to_refs(rows["r"]) == REFS


def test_the_feature_is_known_once_the_module_is_imported_and_not_before(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"r": REFS}, features=datasets.Features({"r": MediaRefFeature()}))
    rows.save_to_disk(str(tmp_path / "saved"))
    code = f"import datasets\nprint(datasets.load_from_disk({str(tmp_path / 'saved')!r})[0]['r'])"
    env = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    for prefix, works in (("", False), ("import mediaref_tools.hf; ", True)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", prefix + code], capture_output=True, text=True, env=env, check=False
        )
        assert (done.returncode == 0) == works, done.stderr
        assert ("MediaRef(uri='a.mp4', pts_ns=0)" in done.stdout) == works
        assert works or "'MediaRef' not found" in done.stderr


def test_without_datasets_one_sentence_says_what_to_install() -> None:
    code = """
import sys
sys.modules["datasets"] = None
try:
    import mediaref_tools.hf
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ExtraError datasets")
    assert done.stdout.endswith("pip install 'mediaref-tools[hf]'\n")
    assert done.stdout.count("\n") == 1
