"""Scripts written for the 1.x API of the `mediaref` package run after one import line has changed.

They are kept as text, as somebody has them, so that the one line is all that can change.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from PIL import Image

from tests.smallvideos import frame_number, picture, write_video

IMPORT = "from mediaref import "
OURS = "from mediaref_tools import "

SCRIPTS = {
    "references": """
        from mediaref import MediaRef, DataURI

        image = MediaRef(uri="image.png")
        frame = MediaRef(uri="video.mp4", pts_ns=1_000_000_000)
        remote = MediaRef(uri="https://example.com/image.jpg")
        cloud = MediaRef(uri="s3://bucket/clip.mp4", pts_ns=0)
        local = MediaRef(uri="file:///data/image.png")
        embedded = MediaRef(uri="data:image/png;base64,iVBORw0KGgo=")

        def told(name):
            return [getattr(ref, name) for ref in (image, frame, remote, cloud, local, embedded)]

        assert told("is_embedded") == [False, False, False, False, False, True]
        assert told("is_video") == [False, True, False, True, False, False]
        assert told("is_remote") == [False, False, True, False, False, False]
        assert told("is_cloud_uri") == [False, False, True, True, False, False]
        assert told("is_relative_path") == [True, True, False, False, False, False]
        assert not MediaRef(uri="/data/image.png").is_relative_path
        """,
    "pydantic": """
        import json
        import pydantic
        from mediaref import MediaRef

        ref = MediaRef(uri="video.mp4", pts_ns=1_500_000_000)
        assert isinstance(ref, pydantic.BaseModel)
        assert ref.model_dump() == {"uri": "video.mp4", "pts_ns": 1500000000}
        assert ref.model_dump_json() == '{"uri":"video.mp4","pts_ns":1500000000}'
        assert MediaRef.model_validate(ref.model_dump()) == ref
        assert MediaRef.model_validate_json(ref.model_dump_json()) == ref

        still = MediaRef(uri="image.png")
        assert still.model_dump() == {"uri": "image.png", "pts_ns": None}
        assert json.loads(still.model_dump_json()) == {"uri": "image.png", "pts_ns": None}
        assert still.model_dump(exclude_none=True) == {"uri": "image.png"}
        assert json.loads(still.model_dump_json(exclude_none=True)) == {"uri": "image.png"}
        assert MediaRef.model_validate({"uri": "image.png"}) == still

        class Step(pydantic.BaseModel):
            camera: MediaRef
            others: list[MediaRef] = []

        step = Step(camera=ref, others=[still])
        assert Step.model_validate_json(step.model_dump_json()) == step
        assert Step.model_validate({"camera": {"uri": "video.mp4", "pts_ns": 1500000000}, "others": [still]}) == step

        for bad in ({"pts_ns": 5}, {"uri": "a.mp4", "pts_ns": "x"}):
            try:
                MediaRef.model_validate(bad)
            except ValueError as error:
                assert isinstance(error, pydantic.ValidationError)
            else:
                raise SystemExit("taken")
        """,
    "arrays": """
        import numpy as np
        from mediaref import MediaRef

        for ref, number in ((MediaRef(uri="still.png"), 7), (MediaRef(uri="clip.mp4", pts_ns=40_000_000), 1)):
            rgb = ref.to_ndarray()
            assert rgb.shape == (64, 96, 3) and rgb.dtype == np.uint8
            assert frame_number(rgb) == number
            assert np.array_equal(ref.to_ndarray(format="rgb"), rgb)
            assert np.array_equal(ref.to_ndarray(format="bgr")[:, :, ::-1], rgb)
            rgba = ref.to_ndarray(format="rgba")
            assert rgba.shape == (64, 96, 4) and np.array_equal(rgba[:, :, :3], rgb) and (rgba[:, :, 3] == 255).all()
            assert np.array_equal(ref.to_ndarray(format="bgra")[:, :, [2, 1, 0, 3]], rgba)
            gray = ref.to_ndarray(format="gray")
            assert gray.shape == (64, 96) and gray.dtype == np.uint8
            assert np.abs(gray - rgb @ [0.299, 0.587, 0.114]).max() < 3
            try:
                ref.to_ndarray(format="hsv")
            except ValueError:
                pass
            else:
                raise SystemExit("taken")
            rgb[10:20] = 0  # a script draws on it
            assert frame_number(ref.to_ndarray()) == number
        """,
    "pil": """
        import numpy as np
        import PIL.Image
        from mediaref import MediaRef

        for ref in (MediaRef(uri="still.png"), MediaRef(uri="clip.mp4", pts_ns=0)):
            image = ref.to_pil_image()
            assert isinstance(image, PIL.Image.Image) and image.size == (96, 64) and image.mode == "RGB"
            assert np.array_equal(np.array(image), ref.to_ndarray())
            assert [ref.to_pil_image(format=f).mode for f in ("rgb", "rgba", "gray")] == ["RGB", "RGBA", "L"]
            try:
                ref.to_pil_image(format="bgr")
            except ValueError:
                pass
            else:
                raise SystemExit("taken")
        """,
    "file uris": """
        from pathlib import Path
        from mediaref import MediaRef

        here = Path.cwd().as_posix()
        assert frame_number(MediaRef(uri=f"file://{here}/still.png").to_ndarray()) == 7
        assert frame_number(MediaRef(uri=f"file://{here}/clip.mp4", pts_ns=80_000_000).to_ndarray()) == 2
        assert frame_number(MediaRef(uri=f"{here}/clip.mp4", pts_ns=80_000_000).to_ndarray()) == 2
        """,
    "resolve": """
        import warnings
        from mediaref import MediaRef

        ref = MediaRef(uri="relative/video.mkv", pts_ns=123456)
        whole = ref.resolve_relative_path("/data/recordings")
        assert (whole.uri, whole.pts_ns) == ("/data/recordings/relative/video.mkv", 123456)
        assert whole is not ref and ref.uri == "relative/video.mkv"
        assert MediaRef(uri="a.jpg").resolve_relative_path("/data/set/").uri == "/data/set/a.jpg"
        assert "/base" in MediaRef(uri=".").resolve_relative_path("/base").uri
        assert MediaRef(uri="a (1).jpg").resolve_relative_path("/data").uri == "/data/a (1).jpg"

        for uri in ("/absolute/image.png", "file:///path/to/image.png"):
            absolute = MediaRef(uri=uri)
            assert absolute.resolve_relative_path("/data", on_unresolvable="error") is absolute

        for uri in ("https://example.com/image.jpg", "s3://bucket/a.png", "data:image/png;base64,AAAA"):
            far = MediaRef(uri=uri)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                assert far.resolve_relative_path("/data") is far
                assert far.resolve_relative_path("/data", on_unresolvable="warn") is far
                assert far.resolve_relative_path("/data", on_unresolvable="ignore") is far
            assert [warning.category for warning in told] == [UserWarning] * 2
            assert all(warning.filename == __file__ for warning in told)
            try:
                far.resolve_relative_path("/data", on_unresolvable="error")
            except ValueError as error:
                assert uri in str(error)
            else:
                raise SystemExit("resolved")
        """,
    "validate": """
        from pathlib import Path
        from mediaref import MediaRef

        assert MediaRef(uri="still.png").validate_uri() is True
        assert MediaRef(uri=str(Path.cwd() / "still.png")).validate_uri() is True
        assert MediaRef(uri=str(Path.cwd())).validate_uri() is True
        assert MediaRef(uri="gone.png").validate_uri() is False
        assert MediaRef(uri="data:image/png;base64,...").validate_uri() is True
        assert MediaRef(uri=Path("still.png").absolute().as_uri()).validate_uri() is True
        assert MediaRef(uri="memory://nothing/there.png").validate_uri() is False
        """,
    "embed": """
        import numpy as np
        from mediaref import MediaRef, DataURI

        rgb = MediaRef(uri="still.png").to_ndarray()
        ref = MediaRef(uri=DataURI.from_image(rgb, format="png"))
        assert ref.is_embedded and ref.uri.startswith("data:image/png;base64,")
        assert np.array_equal(ref.to_ndarray(), rgb)
        assert MediaRef.model_validate_json(ref.model_dump_json()) == ref

        bgr = rgb[:, :, ::-1]
        assert np.array_equal(DataURI.from_image(bgr, format="png", input_format="bgr").to_ndarray(), rgb)
        rgba = np.dstack([rgb, np.full(rgb.shape[:2], 128, np.uint8)])
        assert np.array_equal(DataURI.from_image(rgba).to_ndarray("rgba"), rgba)
        assert np.array_equal(DataURI.from_image(rgba, input_format="rgba").to_ndarray("rgba"), rgba)
        bgra = rgba[:, :, [2, 1, 0, 3]]
        assert np.array_equal(DataURI.from_image(bgra, input_format="bgra").to_ndarray("rgba"), rgba)
        for format in ("jpeg", "bmp"):
            assert (DataURI.from_image(rgba, format=format).to_ndarray("rgba")[:, :, 3] == 255).all()

        image = MediaRef(uri="still.png").to_pil_image()
        jpeg = DataURI.from_image(image, format="jpeg", quality=90)
        assert jpeg.mimetype == "image/jpeg" and jpeg.is_image
        assert frame_number(jpeg.to_ndarray()) == 7
        assert len(DataURI.from_image(rgb, format="jpeg", quality=10)) < len(jpeg)
        assert frame_number(MediaRef(uri=DataURI.from_image(
            MediaRef(uri="clip.mp4", pts_ns=40_000_000).to_ndarray())).to_ndarray()) == 1
        """,
    "data uris": """
        from pathlib import Path
        import numpy as np
        from mediaref import DataURI, MediaRef

        uri = DataURI.from_file("still.png")
        assert uri.mimetype == "image/png" and uri.is_image
        assert uri.uri.startswith("data:image/png;base64,") and len(uri) == len(uri.uri) and str(uri) == uri.uri
        assert uri.decoded_data == Path("still.png").read_bytes()
        assert DataURI.from_file(Path("still.png"), format="png").uri == uri.uri
        assert np.array_equal(uri.to_ndarray(), MediaRef(uri="still.png").to_ndarray())
        assert uri.to_ndarray(format="gray").ndim == 2
        assert uri.to_pil_image().mode == "RGB"

        again = DataURI.from_uri(uri.uri)
        assert (again.uri, again.mimetype, again.decoded_data) == (uri.uri, uri.mimetype, uri.decoded_data)
        assert not DataURI.from_uri("data:text/plain,Hello%20World%21").is_image
        for bad in ("https://example.com/a.png", "data:image/png;base64"):
            try:
                DataURI.from_uri(bad)
            except ValueError:
                pass
            else:
                raise SystemExit("parsed")
        try:
            DataURI.from_file("gone.png")
        except FileNotFoundError:
            pass
        else:
            raise SystemExit("found")
        """,
    "batch": """
        import numpy as np
        from mediaref import MediaRef, batch_decode, cleanup_cache

        cleanup_cache()
        times = [120, 0, 200, 0, 40, 160]
        refs = [MediaRef(uri="clip.mp4", pts_ns=t * 1_000_000) for t in times]
        frames = batch_decode(refs)
        assert isinstance(frames, list)
        assert [frame_number(frame) for frame in frames] == [t // 40 for t in times]
        for ref, frame in zip(refs, frames):
            assert frame.shape == (64, 96, 3) and frame.dtype == np.uint8
            assert np.array_equal(frame, ref.to_ndarray())
        cleanup_cache()
        cleanup_cache()
        assert [frame_number(frame) for frame in batch_decode(refs, decoder="pyav")] == [t // 40 for t in times]
        assert batch_decode([]) == []

        mixed = [MediaRef(uri="still.png"), MediaRef(uri="clip.mp4", pts_ns=0), MediaRef(uri="other.mp4", pts_ns=0),
                 MediaRef(uri="still.png"), MediaRef(uri="clip.mp4", pts_ns=80_000_000)]
        frames = batch_decode(mixed, allow_images=True, allow_multi_video=True)
        assert [frame_number(frame) for frame in frames] == [7, 0, 30, 7, 2]
        assert [frame_number(frame) for frame in batch_decode(mixed)] == [7, 0, 30, 7, 2]
        cleanup_cache()
        """,
    "batch guards": """
        from mediaref import MediaRef, batch_decode

        image, first = MediaRef(uri="still.png"), MediaRef(uri="clip.mp4", pts_ns=0)
        other, late = MediaRef(uri="other.mp4", pts_ns=0), MediaRef(uri="clip.mp4", pts_ns=200_000_000)

        def refused(*args, error=ValueError, **options):
            try:
                batch_decode(*args, **options)
            except error as caught:
                return str(caught)
            raise SystemExit(f"decoded {args} {options}")

        assert "allow_images" in refused([first, image], allow_images=False)
        assert "allow_multi_video" in refused([first, other], allow_multi_video=False)
        assert "allow_gap" in refused([late, first], allow_gap=False, gap_threshold=0.1)
        strict = dict(allow_images=False, allow_multi_video=False, allow_gap=False)
        assert [frame_number(frame) for frame in batch_decode([late, first], **strict, gap_threshold=0.2)] == [5, 0]
        assert [frame_number(frame) for frame in batch_decode([late, first], **strict)] == [5, 0]

        assert "Unknown decoder backend" in refused([first], decoder="invalid")
        for wrong in ((first,), {"uri": "clip.mp4"}, iter([first]), "clip.mp4", first):
            assert "list" in refused(wrong, error=TypeError)
        assert "None" in refused([first, None])
        refused([MediaRef(uri="gone.mp4", pts_ns=0)], error=FileNotFoundError)
        refused([MediaRef(uri="clip.mp4", pts_ns=10**12)])
        refused([MediaRef(uri="clip.mp4")])
        assert [frame_number(frame) for frame in batch_decode([first])] == [0]
        """,
    "collections": """
        from collections import Counter
        from mediaref import MediaRef

        refs = [MediaRef(uri=f"clip{i % 3}.mp4", pts_ns=i // 3) for i in range(9)] * 2
        assert len(set(refs)) == 9
        assert set(Counter(refs).values()) == {2}
        assert sorted(refs, key=lambda ref: (ref.uri, ref.pts_ns))[0] == MediaRef(uri="clip0.mp4", pts_ns=0)
        assert refs[0].model_copy(update={"pts_ns": 5}) == MediaRef(uri="clip0.mp4", pts_ns=5)
        import copy, pickle
        assert pickle.loads(pickle.dumps(refs)) == refs == copy.deepcopy(refs)
        assert eval(repr(refs[0])) == refs[0]
        """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts run: a still that shows 7, and two videos that show 0 to 5 and 30 to 35, 40 ms apart."""
    folder = tmp_path_factory.mktemp("scripts")
    write_video(folder / "clip.mp4", range(0, 240, 40))
    write_video(folder / "other.mp4", range(0, 240, 40), first=30)
    Image.fromarray(picture(7)).save(folder / "still.png")
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = textwrap.dedent(SCRIPTS[name])
    assert script.count(IMPORT) == 1
    monkeypatch.chdir(folder)
    path = str(folder / f"{name}.py")
    code = compile(script.replace(IMPORT, OURS), path, "exec")
    exec(code, {"__name__": "__main__", "__file__": path, "frame_number": frame_number})


def test_a_batch_opens_each_video_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its uri is spelled, and whatever the order."""
    from mediaref_tools import MediaRef, batch_decode
    from mediaref_tools.media import decoding
    from mediaref_tools.media.opening import open_still, open_video

    opened: list[str] = []

    def count_video(uri: str, *options: object) -> object:
        opened.append(uri)
        return open_video(uri, *options)  # type: ignore[arg-type]

    def count_still(uri: str, *options: object) -> object:
        opened.append(uri)
        return open_still(uri, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "open_video", count_video)
    monkeypatch.setattr(decoding, "open_still", count_still)
    monkeypatch.chdir(folder)
    refs = [
        MediaRef(uri=uri, pts_ns=None if "still" in uri else time * 1_000_000)
        for time in (200, 40, 0)
        for uri in ("clip.mp4", "./clip.mp4", "other.mp4", "still.png", "x/../still.png")
    ]
    frames = batch_decode(refs)
    assert [frame_number(frame) for frame in frames] == [5, 5, 35, 7, 7, 1, 1, 31, 7, 7, 0, 0, 30, 7, 7]
    assert sorted(opened) == ["clip.mp4", "other.mp4", "still.png"]


def test_a_batch_names_the_uri_that_failed(folder: Path) -> None:
    from mediaref_tools import MediaRef, batch_decode
    from mediaref_tools.errors import FrameError, MediarefError

    good = MediaRef(uri=f"{folder}/clip.mp4", pts_ns=0)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for bad in (
        MediaRef(uri=f"{folder}/gone.mp4", pts_ns=0),
        MediaRef(uri=f"{folder}/gone.png"),
        MediaRef(uri=f"{folder}/broken.png"),
        MediaRef(uri=f"{folder}/other.mp4", pts_ns=10**12),
        MediaRef(uri="data:image/png;base64,broken!"),
    ):
        with pytest.raises(MediarefError) as error:
            batch_decode([good, bad, good])
        assert bad.uri in str(error.value)
    with pytest.raises(FrameError, match="from 0 to 240000000 ns"):
        batch_decode([MediaRef(uri=f"{folder}/clip.mp4", pts_ns=240_000_000)])


def test_a_batch_takes_frames_of_other_sizes(folder: Path) -> None:
    from mediaref_tools import MediaRef, batch_decode

    write_video(folder / "wide.mp4", [0, 40], size=(128, 64))
    shapes = [
        frame.shape
        for frame in batch_decode([MediaRef(uri=f"{folder}/{name}.mp4", pts_ns=0) for name in ("wide", "clip")])
    ]
    assert shapes == [(64, 128, 3), (64, 96, 3)]
