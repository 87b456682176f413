"""MediaRef Specification 1.0, clause by clause: a test is named by the clause that it holds us to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from mediaref_tools import DataURI, MediaRef, VideoDecoder, batch_decode
from mediaref_tools.dataset.frames import SCHEMA
from mediaref_tools.errors import FrameError, MediaError, RefError
from tests.smallvideos import MS, frame_number, picture, write_video

INT64_MAX = 2**63 - 1
TIMES_MS = [0, 40, 100, 1000, 1040, 1100, 1101]
END_MS = TIMES_MS[-1] + 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `clip.mp4` and `clip.mkv`, frames of which come at TIMES_MS, and `late.mkv`, which starts at 500 ms."""
    folder = tmp_path_factory.mktemp("spec")
    write_video(folder / "clip.mp4", TIMES_MS)
    write_video(folder / "clip.mkv", TIMES_MS, durations_ms=[40] * len(TIMES_MS))
    write_video(folder / "late.mkv", [500, 540, 580], first=50)
    Image.fromarray(picture(7)).save(folder / "still.png")
    return folder


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    """The address of an fsspec folder with the same files; its folders' names have their case."""
    filesystem = fsspec.filesystem("memory")
    for file in folder.iterdir():
        filesystem.pipe(f"/Spec/run 1/{file.name}", file.read_bytes())
    yield "memory://Spec/run 1"
    filesystem.rm("/Spec", recursive=True)


def shown(uri: str | Path, pts_ns: int | None = None) -> int:
    """The number in the picture that a reference names."""
    return frame_number(MediaRef(uri=str(uri), pts_ns=pts_ns).to_ndarray())


# 1. Schema


def test_1_uri_is_required() -> None:
    with pytest.raises(ValidationError, match="uri"):
        MediaRef.model_validate({"pts_ns": 0})


def test_1_uri_is_a_string() -> None:
    for value in (None, 5, b"a.png", ["a.png"], Path("a.png")):
        with pytest.raises(ValidationError, match="uri"):
            MediaRef.model_validate({"uri": value})


def test_1_uri_names_something() -> None:
    with pytest.raises(ValidationError, match="uri"):
        MediaRef(uri="")


def test_1_pts_ns_is_an_int64_or_null() -> None:
    assert MediaRef(uri="a.mp4", pts_ns=5).pts_ns == 5
    assert MediaRef(uri="a.png", pts_ns=None).pts_ns is None
    for value in ("5", 0.5, 1e300, float("nan"), True, np.True_, [5], b"5"):
        with pytest.raises(ValidationError, match="pts_ns"):
            MediaRef.model_validate({"uri": "a.mp4", "pts_ns": value})


@pytest.mark.parametrize("value", [np.int64(7), np.uint8(7), np.array(7), 7.0, np.float64(7)])
def test_1_pts_ns_takes_whole_numbers_of_any_library(value: Any) -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=value)
    assert (ref.pts_ns, type(ref.pts_ns)) == (7, int)


def test_1_a_float_that_names_no_nanosecond_exactly_is_refused() -> None:
    assert MediaRef.model_validate({"uri": "a", "pts_ns": float(2**53)}).pts_ns == 2**53
    with pytest.raises(ValidationError, match="names none exactly"):
        MediaRef.model_validate({"uri": "a", "pts_ns": float(2**53 + 2)})


@pytest.mark.parametrize("field", ["timestamp", "pts", "mimetype", "", "URI", "pts_ns "])
def test_1_unknown_fields_are_rejected(field: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        MediaRef.model_validate({"uri": "a.png", field: None})
    with pytest.raises(ValidationError, match="Extra inputs"):
        MediaRef.model_validate_json(json.dumps({"uri": "a.png", field: None}))


@pytest.mark.parametrize("pts_ns", [None, 0, INT64_MAX])
def test_1_no_other_field_is_ever_emitted(pts_ns: int | None) -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=pts_ns)
    for emitted in (ref.model_dump(), json.loads(ref.model_dump_json()), json.loads(ref.to_json())):
        assert set(emitted) <= {"uri", "pts_ns"}
    assert set(MediaRef.model_fields) == {"uri", "pts_ns"}
    assert not MediaRef.model_computed_fields


def test_1_1_arrow_is_struct_of_uri_string_and_pts_ns_int64() -> None:
    media = SCHEMA.field("media").type
    assert str(media) == "struct<uri: string, pts_ns: int64>"
    assert media == pa.struct([pa.field("uri", pa.string()), pa.field("pts_ns", pa.int64())])


def test_1_1_arrow_pts_ns_is_nullable() -> None:
    assert SCHEMA.field("media").type.field("pts_ns").nullable
    rows = [MediaRef(uri="a.png"), MediaRef(uri="a.mp4", pts_ns=INT64_MAX)]
    column = pa.array([ref.model_dump() for ref in rows], SCHEMA.field("media").type)
    assert column.field("pts_ns").to_pylist() == [None, INT64_MAX]
    assert [MediaRef.model_validate(row) for row in column.to_pylist()] == rows


def test_1_2_json_of_a_frame() -> None:
    ref = MediaRef(uri="video.mp4", pts_ns=1_500_000_000)
    assert MediaRef.model_validate_json('{"uri": "video.mp4", "pts_ns": 1500000000}') == ref
    assert ref.to_json() == '{"uri":"video.mp4","pts_ns":1500000000}'


def test_1_2_json_absent_and_null_pts_are_equal() -> None:
    absent = MediaRef.model_validate_json('{"uri": "image.png"}')
    null = MediaRef.model_validate_json('{"uri": "image.png", "pts_ns": null}')
    assert absent == null == MediaRef(uri="image.png")
    assert hash(absent) == hash(null)


# 2. URI grammar


def test_2_1_file_uris_are_read(folder: Path) -> None:
    assert shown((folder / "still.png").as_uri()) == 7
    assert shown((folder / "clip.mp4").as_uri(), 40 * MS) == 1


@pytest.mark.parametrize("name", ["http", "https", "HTTP"])
def test_2_1_http_is_recognised(name: str) -> None:
    ref = MediaRef(uri=f"{name}://example.com/a.png")
    assert ref.is_remote
    assert ref.is_cloud_uri
    assert not ref.is_relative_path
    assert not ref.is_embedded


def test_2_1_data_is_recognised() -> None:
    for uri in ("data:image/png;base64,AAAA", "DATA:,x"):
        ref = MediaRef(uri=uri)
        assert ref.is_embedded
        assert not ref.is_cloud_uri


@pytest.mark.parametrize(
    "uri", ["s3://b/k", "gs://b/k", "hf://datasets/a/b", "sftp://h/k", "x-none+1.0://k", "urn:a:b"]
)
def test_2_1_any_other_scheme_goes_to_the_handler(uri: str) -> None:
    ref = MediaRef(uri=uri)
    assert ref.is_cloud_uri
    assert not ref.is_relative_path
    assert not ref.is_remote


def test_2_1_the_handler_is_an_open_set(memory: str) -> None:
    assert shown(f"{memory}/still.png") == 7
    assert shown(f"{memory}/clip.mkv", 100 * MS) == 2


def test_2_1_a_scheme_nobody_knows_is_an_error_that_names_it() -> None:
    with pytest.raises(RefError, match=r"'x-none'.*x-none://host/a\.png"):
        MediaRef(uri="x-none://host/a.png").to_ndarray()


def test_2_2_data_uris_hold_the_media() -> None:
    assert frame_number(MediaRef(uri=DataURI.from_image(picture(300))).to_ndarray()) == 300


def test_2_2_base64_and_media_type_are_optional() -> None:
    data = DataURI.from_uri("data:,A%20note")
    assert (data.mimetype, data.decoded_data) == ("text/plain;charset=US-ASCII", b"A note")


def test_2_2_embedded_video_is_permitted(folder: Path) -> None:
    uri = DataURI.from_file(folder / "clip.mp4")
    assert uri.mimetype == "video/mp4"
    assert frame_number(MediaRef(uri=uri, pts_ns=1000 * MS).to_ndarray()) == 3


@pytest.mark.parametrize("uri", ["clip.mp4", "./clip.mp4", "a/../clip.mp4", ".//clip.mp4", "./x/..//clip.mp4"])
def test_2_3_relative_paths_are_posix_paths(folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.chdir(folder)
    assert MediaRef(uri=uri).is_relative_path
    assert shown(uri, 0) == 0


def test_2_3_absolute_paths_are_posix_paths(folder: Path) -> None:
    uri = str(folder / "clip.mp4")
    assert not MediaRef(uri=uri).is_relative_path
    assert shown(uri, 0) == 0


@pytest.mark.parametrize("name", ["50% off?#1.png", "a%20b.png", "ü 图.png", "c:d.png", "back\\slash.png", "a+b&c.png"])
def test_2_3_a_path_is_no_uri_and_has_no_escapes(tmp_path: Path, name: str) -> None:
    Image.fromarray(picture(9)).save(tmp_path / name)
    assert shown(tmp_path / name) == 9


def test_2_3_resolve_relative_path_takes_a_base_folder(folder: Path) -> None:
    ref = MediaRef(uri="clip.mp4", pts_ns=1000 * MS).resolve_relative_path(str(folder))
    assert ref == MediaRef(uri=f"{folder}/clip.mp4", pts_ns=1000 * MS)
    assert frame_number(ref.to_ndarray()) == 3


# 3. pts_ns


def test_3_pts_count_on_the_clock_of_the_container(folder: Path) -> None:
    """Not from the first frame: one that starts at 500 ms is found there, and nothing at 0."""
    assert shown(folder / "late.mkv", 500 * MS) == 50
    with pytest.raises(FrameError, match="500000000 to 620000000 ns"):
        shown(folder / "late.mkv", 0)


@pytest.mark.parametrize("pts_ns", [0, 1, 2**53 + 1, 10**18 + 1, INT64_MAX])
def test_3_1_the_whole_range_is_kept_exactly(pts_ns: int) -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=pts_ns)
    assert MediaRef.model_validate_json(ref.to_json()).pts_ns == pts_ns
    assert MediaRef.model_validate(ref.model_dump()).pts_ns == pts_ns
    assert str(pts_ns) in ref.to_json()


def test_3_1_the_whole_range_is_handled_by_the_decoder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=f"0 to {END_MS * MS} ns"):
        shown(folder / "clip.mp4", INT64_MAX)
    last = INT64_MAX // MS  # the last whole millisecond that int64 nanoseconds can tell
    late = write_video(tmp_path / "late.nut", [last - 80, last - 30], first=3, last_ms=41)
    assert shown(late, (last - 80) * MS) == 3
    assert shown(late, (last - 30) * MS - 1) == 3
    assert shown(late, (last - 30) * MS) == 4
    assert shown(late, INT64_MAX) == 4


@pytest.mark.parametrize("pts_ns", [-1, -(2**63)])
def test_3_1_negative_values_are_refused(pts_ns: int) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        MediaRef(uri="a.mp4", pts_ns=pts_ns)


@pytest.mark.parametrize("pts_ns", [2**63, 10**30])
def test_3_1_values_beyond_int64_are_refused(pts_ns: int) -> None:
    with pytest.raises(ValidationError, match=f"less than or equal to {INT64_MAX}"):
        MediaRef(uri="a.mp4", pts_ns=pts_ns)
    with pytest.raises(ValidationError, match=f"less than or equal to {INT64_MAX}"):
        MediaRef.model_validate_json(f'{{"uri": "a.mp4", "pts_ns": {pts_ns}}}')


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_3_2_a_frame_from_its_pts_until_the_next(folder: Path, name: str) -> None:
    with VideoDecoder(folder / name) as video:
        for index, (begin, end) in enumerate(zip(TIMES_MS, [*TIMES_MS[1:], END_MS], strict=True)):
            for time in (begin * MS, begin * MS + 1, (begin + end) * MS // 2, end * MS - 1):
                assert frame_number(video.frame_at(time).data) == index
                assert shown(folder / name, time) == index


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_3_2_last_frame_until_stream_end(folder: Path, name: str) -> None:
    last = len(TIMES_MS) - 1
    assert shown(folder / name, TIMES_MS[-1] * MS) == last
    assert shown(folder / name, END_MS * MS - 1) == last


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("beyond", [0, 1, 10**15])
def test_3_2_at_and_after_the_end_is_an_error(folder: Path, name: str, beyond: int) -> None:
    with pytest.raises(FrameError, match=f"0 to {END_MS * MS} ns.*{name}"):
        shown(folder / name, END_MS * MS + beyond)


def test_3_2_before_the_first_frame_is_an_error(folder: Path) -> None:
    with pytest.raises(FrameError, match=r"500000000 to 620000000 ns.*late\.mkv"):
        shown(folder / "late.mkv", 500 * MS - 1)


def test_3_2_a_frames_own_duration_is_ignored(tmp_path: Path) -> None:
    """One that says 40 ms and one that says 5 s are on screen until the next frame comes."""
    path = write_video(tmp_path / "said.mkv", [0, 1000, 2000], durations_ms=[40, 5000, 40])
    with av.open(str(path)) as source:
        said = [packet.duration for packet in source.demux(video=0) if packet.size]
    assert said == [40, 5000, 40]
    assert [shown(path, time * MS) for time in (0, 39, 41, 999, 1000, 1999, 2000, 2039)] == [0, 0, 0, 0, 1, 1, 2, 2]


def test_3_3_without_pts_it_is_a_still(folder: Path) -> None:
    assert not MediaRef(uri="clip.mp4").is_video
    with pytest.raises(RefError, match=r"pts_ns.*clip\.mp4"):
        MediaRef(uri=str(folder / "clip.mp4")).to_ndarray()


def test_3_3_with_pts_it_is_a_video(folder: Path) -> None:
    assert MediaRef(uri="still.png", pts_ns=0).is_video
    with pytest.raises((RefError, MediaError), match=r"still\.png"):
        MediaRef(uri=str(folder / "still.png"), pts_ns=0).to_ndarray()


# 4. Equivalence

EQUIVALENT = [
    ("HTTP://Example.COM/a.png", "http://example.com/a.png"),
    ("http://user@EXAMPLE.com:8080/a", "http://user@example.com:8080/a"),
    ("https://h/%7Euser/%61.png", "https://h/~user/a.png"),
    ("https://h/%c3%bc.png", "https://h/%C3%BC.png"),
    ("https://h/a/./b/../c.png", "https://h/a/c.png"),
    ("https://h/a/%2E%2E/c.png", "https://h/c.png"),
    ("https://h/../c.png", "https://h/c.png"),
    ("file:///data/./x/../a.png", "file:///data/a.png"),
    ("FILE:///a.png", "file:///a.png"),
    ("s3://bucket/%61", "s3://bucket/a"),
    ("./a.png", "a.png"),
    ("x/../a.png", "a.png"),
    ("/data/../a.png", "/a.png"),
]
DIFFERENT = [
    ("https://h/A.png", "https://h/a.png"),
    ("https://User@h/a", "https://user@h/a"),
    ("https://h/a%2Fb", "https://h/a/b"),
    ("https://h/a?x=A", "https://h/a?x=a"),
    ("https://h/a", "https://h/a?"),
    ("https://h/a", "http://h/a"),
    ("a.png", "A.png"),
    ("a%62.png", "ab.png"),
    ("a.png", "/a.png"),
    (".//a.png", "/a.png"),
    ("../a.png", "a.png"),
    ("data:image/png;base64,AAAA", "data:image/PNG;base64,AAAA"),
    ("data:image/png;base64,AAAA", "DATA:image/png;base64,AAAA"),
    ("data:,%61", "data:,a"),
    ("x1:/.//host/a", "x1://host/a"),
]


@pytest.mark.parametrize(("one", "other"), EQUIVALENT)
@pytest.mark.parametrize("pts_ns", [None, 0, INT64_MAX])
def test_4_equivalent_uris_and_equal_pts_are_equal(one: str, other: str, pts_ns: int | None) -> None:
    first, second = MediaRef(uri=one, pts_ns=pts_ns), MediaRef(uri=other, pts_ns=pts_ns)
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second}) == 1
    assert {first: "found"}[second] == "found"


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_4_other_uris_are_different(one: str, other: str) -> None:
    assert MediaRef(uri=one) != MediaRef(uri=other)
    assert len({MediaRef(uri=one), MediaRef(uri=other)}) == 2


def test_4_other_pts_are_different() -> None:
    refs = [MediaRef(uri="a.mp4", pts_ns=pts) for pts in (None, 0, 1, 2**53, 2**53 + 1)]
    assert len(set(refs)) == len(refs)
    assert MediaRef(uri="a.mp4", pts_ns=0) != MediaRef(uri="a.mp4")


def test_4_nothing_else_equals_a_reference() -> None:
    ref = MediaRef(uri="a.png")
    assert ref != "a.png"
    assert ref != {"uri": "a.png", "pts_ns": None}


def test_4_equivalence_leaves_the_uri_as_it_is_written() -> None:
    assert MediaRef(uri="HTTP://H/%61/../b").uri == "HTTP://H/%61/../b"
    assert "HTTP://H/%61/../b" in MediaRef(uri="HTTP://H/%61/../b").to_json()


@pytest.mark.parametrize(
    "spelling",
    [
        lambda path: f"{path.parent}/x/../{path.name}",
        lambda path: f"{path.parent}/./{path.name}",
        lambda path: path.as_uri(),
        lambda path: f"FILE://localhost{path.parent}/%2e/x/../%63lip.mp4",
    ],
)
def test_4_equivalent_refs_resolve_to_the_same_media(folder: Path, spelling: Callable[[Path], str]) -> None:
    assert shown(spelling(folder / "clip.mp4"), 100 * MS) == 2


@pytest.mark.parametrize("name", ["still.png", "%73till.png", "x/../still.png", "./%2E%2E/run 1/still.png"])
def test_4_equivalent_refs_resolve_to_the_same_media_of_a_storage(memory: str, name: str) -> None:
    one, other = MediaRef(uri=f"{memory}/{name}"), MediaRef(uri=f"{memory}/still.png")
    assert one == other
    assert np.array_equal(one.to_ndarray(), other.to_ndarray())
    assert one.validate_uri()


def test_4_equivalent_refs_are_one_video_to_a_batch(folder: Path) -> None:
    one, other = f"{folder}/clip.mp4", f"{folder}/x/../clip.mp4"
    refs = [MediaRef(uri=uri, pts_ns=time * MS) for time in (1000, 0, 40) for uri in (one, other)]
    assert [frame_number(frame) for frame in batch_decode(refs, allow_multi_video=False)] == [3, 3, 0, 0, 1, 1]


# 5. Serialisation


def test_5_json_is_utf8_with_plain_numbers() -> None:
    text = MediaRef(uri="图/ü.png", pts_ns=10**18).to_json()
    assert text.encode("utf-8") == '{"uri":"图/ü.png","pts_ns":1000000000000000000}'.encode()
    assert MediaRef.model_validate_json(text.encode("utf-8")).uri == "图/ü.png"
    with pytest.raises(ValidationError):
        MediaRef.model_validate_json(b'{"uri": "\xff.png"}')


def test_5_a_number_in_quotes_is_no_number() -> None:
    with pytest.raises(ValidationError, match="pts_ns"):
        MediaRef.model_validate_json('{"uri": "a.mp4", "pts_ns": "5"}')


def test_5_omission_is_preferred_by_to_json() -> None:
    assert MediaRef(uri="a.png").to_json() == '{"uri":"a.png"}'
    assert MediaRef(uri="a.png").model_dump_json() == '{"uri":"a.png","pts_ns":null}'


def test_5_field_order_is_not_significant() -> None:
    assert MediaRef.model_validate_json('{"pts_ns": 5, "uri": "a.mp4"}') == MediaRef(uri="a.mp4", pts_ns=5)
    swapped = pa.array([{"uri": "a.mp4", "pts_ns": 5}], pa.struct([("pts_ns", pa.int64()), ("uri", pa.string())]))
    assert MediaRef.model_validate(swapped.to_pylist()[0]) == MediaRef(uri="a.mp4", pts_ns=5)


def test_5_arrow_has_the_exact_names_and_types() -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=2**53 + 1)
    column = pa.array([ref.model_dump()], SCHEMA.field("media").type)
    assert [(field.name, str(field.type)) for field in column.type] == [("uri", "string"), ("pts_ns", "int64")]
    assert column.to_pylist() == [{"uri": "a.mp4", "pts_ns": 2**53 + 1}]


# 6. Conformance


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg"])
@settings(max_examples=8)
@given(gaps=st.lists(st.integers(1, 900), min_size=1, max_size=12), queries=st.lists(st.integers(0, 2**20), max_size=8))
def test_6_1_the_frame_is_the_one_of_sequential_decoding(
    tmp_path_factory: pytest.TempPathFactory, codec: str, gaps: list[int], queries: list[int]
) -> None:
    """Which frame is chosen is required to agree between decoders: here with plain PyAV and the rule, written out."""
    times = [0]
    for gap in gaps:
        times.append(times[-1] + gap)
    path = write_video(tmp_path_factory.mktemp("spec") / "clip.mkv", times, codec=codec, durations_ms=[40] * len(times))
    with av.open(str(path)) as source:
        base = source.streams.video[0].time_base
        assert base is not None
        decoded = [
            (int((frame.pts or 0) * base * 10**9), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            for frame in source.decode(video=0)
        ]
    assert [pts for pts, _ in decoded] == [time * MS for time in times]
    asked = [query * MS % (times[-1] * MS + 1) for query in queries]
    for time in (*asked, *(pts for pts, _ in decoded), *(pts - 1 for pts, _ in decoded[1:])):
        wanted = max(index for index, (pts, _) in enumerate(decoded) if pts <= time)
        assert shown(path, time) == frame_number(decoded[wanted][1]) == wanted


# 7. The schema is frozen


def test_7_the_schema_is_frozen() -> None:
    schema = MediaRef.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["uri"]
    properties = {name: {**value, "title": None} for name, value in schema["properties"].items()}
    assert properties == {
        "uri": {"type": "string", "minLength": 1, "title": None},
        "pts_ns": {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": INT64_MAX}, {"type": "null"}],
            "default": None,
            "title": None,
        },
    }


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"uri":"image.png","pts_ns":null}', ("image.png", None)),
        ('{"uri":"image.png"}', ("image.png", None)),
        ('{"uri":"video.mp4","pts_ns":0}', ("video.mp4", 0)),
        ('{"uri":"s3://bucket/x.mp4","pts_ns":9223372036854775807}', ("s3://bucket/x.mp4", INT64_MAX)),
        ('{"uri":"data:image/png;base64,iVBORw0KGgo=","pts_ns":null}', ("data:image/png;base64,iVBORw0KGgo=", None)),
    ],
)
def test_7_what_1_x_wrote_is_read_for_ever(text: str, fields: tuple[str, int | None]) -> None:
    ref = MediaRef.model_validate_json(text)
    assert (ref.uri, ref.pts_ns) == fields


def test_7_a_reference_can_not_be_changed() -> None:
    ref = MediaRef(uri="a.png")
    with pytest.raises(ValidationError, match="frozen"):
        ref.uri = "b.png"
    with pytest.raises(ValidationError, match="frozen"):
        ref.pts_ns = 5
