"""HDF5 episodes of every layout: converted, proved, read back; and everything else in the file as it was."""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.errors import LogError
from mediaref_tools.log import NOTE, LogReader, OpenOptions
from mediaref_tools.plugins import open_log
from mediaref_tools.reftable import holds_refs
from mediaref_tools.sample import make_sample
from mediaref_tools.samples.scene import frame_number
from mediaref_tools.segments.segment import SegmentWriter
from tests.reallogs import real_log

from . import hdf5logs


def opened(path: Path, **options: Any) -> LogReader:
    return open_log(path, OpenOptions(**options))


def notes(path: Path, **options: Any) -> dict[str, str]:
    with opened(path, **options) as log:
        return {channel.topic: channel.attributes[NOTE] for channel in log.channels}


def same_elsewhere(one: h5py.File, two: h5py.File, replaced: set[str]) -> int:
    """Compare two files but for pictures; how many objects are the same."""
    names: list[str] = []
    one.visit(names.append)
    others: list[str] = []
    two.visit(others.append)
    assert sorted(names) == sorted(others)
    for name in ["/", *names]:
        same_attributes(one[name], two[name], added=name in replaced)
        if isinstance(one[name], h5py.Dataset) and name not in replaced:
            assert one[name].dtype == two[name].dtype
            assert one[name].id.get_type().equal(two[name].id.get_type()), name
            assert one[name].id.get_create_plist().equal(two[name].id.get_create_plist()), name
            assert one[name].maxshape == two[name].maxshape
            np.testing.assert_array_equal(one[name][()], two[name][()])
    return len(names) - len(replaced)


def same_attributes(one: Any, two: Any, *, added: bool = False) -> None:
    assert set(one.attrs) <= set(two.attrs) if added else list(one.attrs) == list(two.attrs)
    for name in one.attrs:
        assert one.attrs.get_id(name).get_type().equal(two.attrs.get_id(name).get_type()), name
        np.testing.assert_array_equal(one.attrs[name], two.attrs[name])


def proved(log: Path, out: Path, **settings: Any) -> mrt.Report:
    report = mrt.convert(log, out, settings=mrt.Settings(**settings))
    assert (report.wrong, report.missing) == (0, 0)
    assert report.messages_in == report.messages_out
    proof = mrt.verify(out, against=log)
    assert proof.ok, proof
    return report


def numbers(dataset: Path, topic: str, change: Callable[[Any], Any] = lambda picture: picture) -> list[int]:
    with mrt.open_dataset(dataset) as opened_:
        return [frame_number(np.ascontiguousarray(change(frame.data))) for frame in opened_[topic]]


def test_act_episode(tmp_path: Path) -> None:
    log, out = hdf5logs.aloha(tmp_path / "episode_0.hdf5"), tmp_path / "out"
    report = proved(log, out)
    assert {topic.topic: topic.frames for topic in report.topics} == {
        "observations/images/cam_high": 6,
        "observations/images/cam_low": 6,
    }
    assert report.lossless
    assert numbers(out, "observations/images/cam_low") == list(range(100, 106))
    with mrt.open_dataset(out) as dataset:
        assert dataset["observations/images/cam_high"].log_times_ns.tolist() == [20_000_000 * at for at in range(6)]
    with h5py.File(log) as old, h5py.File(out / log.name) as new:
        assert same_elsewhere(old, new, {topic.topic for topic in report.topics}) == 5
        images = new["observations/images/cam_high"]
        assert holds_refs(images.dtype)
        assert images.shape == (6,)
        assert images[2]["pts_ns"] == 40_000_000
        assert images[2]["uri"].decode() == "media/~~observations-images-cam_high/000000.mp4"
        assert images.attrs["mediaref_spec"] == "1.0"
        assert images.attrs["source_shape"].tolist() == [6, 64, 96, 3]
        told = {
            name: images.attrs[name] for name in ("source_dtype", "source_encoding", "channel_order", "orientation")
        }
        assert told == {
            "source_dtype": "|u1",
            "source_encoding": "rgb8",
            "channel_order": "rgb",
            "orientation": "as stored",
        }
        assert images.attrs["fps"] == 50.0


def test_rewritten_file_gives_its_references_back_alone(tmp_path: Path) -> None:
    log, out = hdf5logs.aloha(tmp_path / "episode_0.hdf5"), tmp_path / "out"
    proved(log, out)
    with mrt.open_dataset(out / log.name) as theirs:
        camera = theirs["observations/images/cam_low"]
        assert [frame_number(frame.data) for frame in camera] == list(range(100, 106))
        assert camera.log_times_ns.tolist() == [20_000_000 * at for at in range(6)]


def test_nothing_is_guessed_about_times(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5", sim=False)
    with pytest.raises(LogError, match=r"cam_high were taken \(and of 1 more\).*--fps"):
        mrt.convert(log, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert "give --fps" in notes(log)["observations/images/cam_high"]
    assert "profile aloha" in notes(log, profile="aloha")["observations/images/cam_high"]
    with opened(log, fps=Fraction(30000, 1001)) as reader:
        times = [message.log_time_ns for message in reader.messages(["observations/images/cam_high"])]
    assert times == [round(at * 10**9 * 1001 / 30000) for at in range(6)]


@pytest.mark.parametrize("hint", ["compress", "depth", "joints"])
def test_look_alikes_of_act_are_not_taken_for_50_hz(tmp_path: Path, hint: str) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5")
    with h5py.File(log, "r+") as file:
        if hint == "compress":
            file.attrs["compress"] = False
        elif hint == "depth":
            file["observations/images_depth/cam_high"] = hdf5logs.depth(6)
        else:
            del file["action"]
            file["action"] = np.zeros((6, 7))
    assert "give --fps" in notes(log)["observations/images/cam_high"]


def test_unknown_profile_is_named(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5")
    with pytest.raises(LogError, match=r"'alhoa': one of aloha, "):
        mrt.convert(log, tmp_path / "out", settings=mrt.Settings(profile="alhoa"))


def test_option_that_a_container_has_no_use_for_is_refused(tmp_path: Path) -> None:
    log = make_sample(tmp_path / "log.mcap", container="mcap", seconds=0.2)
    with pytest.raises(LogError, match="a log of mcap says itself what --fps would"):
        mrt.convert(log, tmp_path / "out", settings=mrt.Settings(fps="30"))


@pytest.mark.parametrize("last", ["same", "new"])
def test_robomimic_stores_next_obs_once(tmp_path: Path, last: Any) -> None:
    log, out = hdf5logs.robomimic(tmp_path / "demos.hdf5", last=last), tmp_path / "out"
    report = proved(log, out)
    topics = {topic.topic: topic.frames for topic in report.topics}
    assert topics == {"data/demo_0/obs/agentview_image": 6, "data/demo_1/obs/agentview_image": 4}
    assert len(list(out.rglob("*.mp4"))) == 2
    assert report.lossless
    replaced = {f"data/demo_{demo}/{name}/agentview_image" for demo in (0, 1) for name in ("obs", "next_obs")}
    with h5py.File(log) as old, h5py.File(out / log.name) as new:
        same_elsewhere(old, new, replaced)
        obs, after = new["data/demo_0/obs/agentview_image"], new["data/demo_0/next_obs/agentview_image"]
        assert after.shape == obs.shape
        assert after[:-1].tolist() == obs[1:].tolist()
        assert after.attrs["mediaref_repeats"] == "data/demo_0/obs/agentview_image"
        uri, pts_ns = after[-1]
        if last == "same":
            assert (uri, pts_ns) == tuple(obs[-1])
        else:
            assert pts_ns == -1
            still = mrt.MediaRef(uri=uri.decode()).to_ndarray()
            np.testing.assert_array_equal(still, old["data/demo_0/next_obs/agentview_image"][-1])


def test_next_obs_of_other_pictures_is_a_topic(tmp_path: Path) -> None:
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(6,), chunks=(1, 64, 96, 3))
    with h5py.File(log, "r+") as file:
        file["data/demo_0/next_obs/agentview_image"][2] = 0
        file["data/demo_0/next_obs/agentview_image"][0] = 0
    report = proved(log, tmp_path / "out")
    assert {topic.topic for topic in report.topics} == {
        "data/demo_0/next_obs/agentview_image",
        "data/demo_0/obs/agentview_image",
    }


def test_row_of_next_obs_that_no_sample_saw_keeps_its_pixels(tmp_path: Path) -> None:
    log, out = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(9,)), tmp_path / "out"
    odd = np.full((64, 96, 3), 77, np.uint8)
    with h5py.File(log, "r+") as file:
        file["data/demo_0/next_obs/agentview_image"][2] = odd
    proved(log, out)
    with h5py.File(out / log.name) as file:
        rows = file["data/demo_0/next_obs/agentview_image"][:]
    np.testing.assert_array_equal(mrt.MediaRef(uri=rows[2]["uri"].decode()).to_ndarray(), odd)
    assert [row["pts_ns"] < 0 for row in rows] == [at in (2, 8) for at in range(9)]


def test_next_obs_stays_where_obs_does(tmp_path: Path) -> None:
    log, out = hdf5logs.robomimic(tmp_path / "demos.hdf5"), tmp_path / "out"
    report = proved(log, out, topics=("data/demo_1/*",))
    assert [topic.topic for topic in report.topics] == ["data/demo_1/obs/agentview_image"]
    replaced = {f"data/demo_1/{name}/agentview_image" for name in ("obs", "next_obs")}
    with h5py.File(log) as old, h5py.File(out / log.name) as new:
        same_elsewhere(old, new, replaced)


def test_demos_come_one_after_the_other(tmp_path: Path) -> None:
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(4, 2, *[1] * 8, 3))  # demo_10 sorts before demo_2 as text
    with opened(log) as reader:
        starts: dict[str, int] = {}
        for message in reader.messages():
            starts.setdefault(message.channel.topic.split("/")[1], message.log_time_ns // 50_000_000)
    assert starts == {"demo_0": 0, "demo_1": 4, **{f"demo_{n}": n + 4 for n in range(2, 10)}, "demo_10": 14}


def test_gzip_in_chunks_of_many_pictures_is_inflated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(60,), chunks=(50, 21, 21, 1))
    read: list[tuple[int, int]] = []
    plain = h5py.Dataset.__getitem__

    def counted(self: Any, key: Any, **options: Any) -> Any:
        if isinstance(key, slice) and self.name == "/data/demo_0/obs/agentview_image":
            read.append((key.start, key.stop))
        return plain(self, key, **options)

    with opened(log) as reader:
        monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
        found = [bytes(message.data) for message in reader.messages()]
    assert read == [(0, 50), (50, 60)]
    with h5py.File(log) as file:
        assert found == [row.tobytes() for row in file["data/demo_0/obs/agentview_image"]]


def test_memory_is_that_of_the_episodes_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sixty episodes in one file, neither encoders nor datasets of those that are over stay open."""
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=[30] * 60, last="same")
    encoders: list[int] = []
    datasets: list[int] = []
    plain_write, plain_read = SegmentWriter.__init__, h5py.Dataset.__getitem__
    living: weakref.WeakSet[SegmentWriter] = weakref.WeakSet()

    def written(self: SegmentWriter, *arguments: Any, **options: Any) -> None:
        plain_write(self, *arguments, **options)
        living.add(self)
        encoders.append(len(living))

    def read(self: Any, key: Any, **options: Any) -> Any:
        if self.file.filename == str(log):
            datasets.append(h5py.h5f.get_obj_count(self.file.id, h5py.h5f.OBJ_DATASET))
        return plain_read(self, key, **options)

    monkeypatch.setattr(SegmentWriter, "__init__", written)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", read)
    mrt.convert(log, tmp_path / "out")
    assert max(encoders) < 40  # those of the 512 pictures that wait between reading and writing
    assert max(datasets) < 10


def test_aloha_compressed_is_padded_jpeg_with_red_and_blue_swapped(tmp_path: Path) -> None:
    log, out = hdf5logs.aloha_compressed(tmp_path / "episode_0.hdf5"), tmp_path / "out"
    topic = "observations/images/cam_low"
    assert "swapped" in notes(log)[topic]
    proved(log, out)
    assert numbers(out, topic) == list(range(100, 106))
    assert order(out, topic, 100) == "bgr"
    with h5py.File(out / log.name) as file:
        assert file[topic].attrs["channel_order"] == "bgr"
        assert file[topic].attrs["source_encoding"] == "jpeg"
    proved(log, tmp_path / "right", swap_rb=True)
    assert order(tmp_path / "right", topic, 100) == "rgb"
    with h5py.File(tmp_path / "right" / log.name) as file:
        assert file[topic].attrs["channel_order"] == "rgb"


def order(dataset: Path, topic: str, first: int) -> str:
    """Whether a topic's first frame shows a numbered picture in its colours, or with red and blue swapped."""
    with mrt.open_dataset(dataset) as opened_:
        shown = opened_[topic][0].data.astype(np.int16)
    truth = hdf5logs.pictures([first])[0].astype(np.int16)
    right, wrong = (float(np.abs(shown - each).mean()) for each in (truth, truth[..., ::-1]))
    assert max(right, wrong) > 1.5 * min(right, wrong)
    return "rgb" if right < wrong else "bgr"


def test_swap_rb_of_raw_pictures(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5")
    topic = "observations/images/cam_high"
    proved(log, tmp_path / "as_is")
    proved(log, tmp_path / "swapped", swap_rb=True)
    assert order(tmp_path / "as_is", topic, 0) == "rgb"
    assert order(tmp_path / "swapped", topic, 0) == "bgr"


def test_robotwin_is_jpeg_in_strings(tmp_path: Path) -> None:
    log, out = hdf5logs.robotwin(tmp_path / "episode0.hdf5"), tmp_path / "out"
    report = proved(log, out, fps=30)
    assert numbers(out, "observation/head_camera/rgb") == list(range(100, 106))
    with h5py.File(log) as old, h5py.File(out / log.name) as new:
        same_elsewhere(old, new, {topic.topic for topic in report.topics})
        assert new["observation/head_camera/rgb"].attrs["channel_order"] == "bgr"


def test_libero_is_upside_down_and_stays_so(tmp_path: Path) -> None:
    log, out = hdf5logs.libero(tmp_path / "task_demo.hdf5"), tmp_path / "out"
    proved(log, out, profile="libero")
    topic = "data/demo_0/obs/eye_in_hand_rgb"
    assert numbers(out, topic, lambda picture: picture[::-1]) == list(range(100, 106))
    with h5py.File(out / log.name) as file:
        assert file[topic].attrs["orientation"] == "upside down"
        assert file[topic].attrs["fps"] == 20.0


def test_vlen_jpeg_with_times_and_rows_that_are_empty_or_cut(tmp_path: Path) -> None:
    files = [hdf5logs.jpeg(each) for each in hdf5logs.pictures(range(6))]
    files[1], files[3] = b"", files[3][:400]
    log, out = hdf5logs.vlen_jpeg(tmp_path / "trajectory.hdf5", files), tmp_path / "out"
    topic = "observations/rgb_images/camera_top"
    assert "times from observations/timestamp, in s (1.7e+09 is a Unix time)" in notes(log)[topic]
    report = proved(log, out)
    assert (report.frames, report.embedded) == (6, 2)
    with mrt.open_dataset(out) as dataset:
        camera = dataset[topic]
        assert [frame_number(frame.data) for frame in camera.batch([0, 2, 4, 5])] == [0, 2, 4, 5]
        assert (np.abs(np.diff(camera.log_times_ns) - 10**9 / 30) < 1000).all()
        assert camera.status.tolist() == ["video", "embedded", "video", "embedded", "video", "video"]


@pytest.mark.parametrize("make", [hdf5logs.aloha_compressed, hdf5logs.robotwin])
def test_padding_is_no_part_of_the_file_and_compress_len_not_believed(tmp_path: Path, make: Any) -> None:
    with opened(make(tmp_path / "x.hdf5"), fps=Fraction(10)) as reader:
        (first, *_) = sorted(channel.topic for channel in reader.channels)
        files = [bytes(reader.image(message).data) for message in reader.messages([first])]
        rows = [bytes(message.data) for message in reader.messages([first])]
    rgb = hdf5logs.pictures(range(6))
    assert files == [hdf5logs.jpeg(np.ascontiguousarray(each[..., ::-1])) for each in rgb]
    assert len({len(row) for row in rows}) == 1  # a message is its row as it lies


@pytest.mark.parametrize("kind", ["opaque", "png", "vlen string"])
def test_other_rows_that_hold_image_files(tmp_path: Path, kind: str) -> None:
    rgb = hdf5logs.pictures(range(4))
    files = [hdf5logs.jpeg(each) for each in rgb]
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        if kind == "opaque":
            rows = hdf5logs.padded(files)
            file["camera"] = rows.view(f"V{rows.shape[1]}").reshape(-1)
        elif kind == "png":
            file["camera"] = hdf5logs.padded([png(each) for each in rgb])
        else:  # a C string ends at its first NUL: what is there of a JPEG can't be decoded
            texts = [each.split(b"\0")[0] for each in files]
            file.create_dataset("camera", data=texts, dtype=h5py.string_dtype("ascii"))
    report = proved(log, tmp_path / "out", fps=10)
    if kind == "vlen string":
        assert [(topic.topic, topic.messages) for topic in report.kept] == [("camera", 4)]
        with h5py.File(log) as old, h5py.File(tmp_path / "out" / log.name) as new:
            same_elsewhere(old, new, set())
    else:
        assert numbers(tmp_path / "out", "camera") == list(range(4))


def png(rgb: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "png")
    return stream.getvalue()


@pytest.mark.parametrize("layout", ["CHW", "HW", "HW1", "HWC4"])
def test_other_layouts_of_raw_pictures(tmp_path: Path, layout: str) -> None:
    rgb = hdf5logs.pictures(range(5))
    arrays = {
        "CHW": rgb.transpose(0, 3, 1, 2),
        "HW": rgb[..., 1],
        "HW1": rgb[..., 1:2],
        "HWC4": np.concatenate([rgb, np.full((*rgb.shape[:3], 1), 255, np.uint8)], axis=3),
    }
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["cam"] = arrays[layout]
    proved(log, tmp_path / "out", fps=10)
    assert numbers(tmp_path / "out", "cam") == list(range(5))


@pytest.mark.parametrize("order", ["<", ">"])
def test_depth_is_an_image_of_16_bits(tmp_path: Path, order: str) -> None:
    log = hdf5logs.agilex(tmp_path / "episode_0.hdf5")
    topic = "observations/images_depth/cam_high"
    with h5py.File(log, "r+") as file:
        del file[topic]
        file[topic] = hdf5logs.depth(6).astype(f"{order}u2")
    with opened(log, profile="agilex") as reader:
        for row, message in enumerate(reader.messages([topic])):
            image = reader.image(message)
            assert (image.encoding, image.height, image.width, image.step) == ("16UC1", 64, 96, 192)
            assert not image.is_bigendian
            np.testing.assert_array_equal(np.frombuffer(image.data, "<u2").reshape(64, 96), hdf5logs.depth(6)[row])
    report = proved(log, tmp_path / "out", profile="agilex")
    assert report.lossless
    assert {one.topic: one.codec for one in report.topics}[topic] == "ffv1"
    with mrt.open_dataset(tmp_path / "out") as dataset:
        np.testing.assert_array_equal(dataset[topic].batch(range(6)).data, hdf5logs.depth(6))


def test_kept_topics_have_their_times_in_the_rewritten_file_too(tmp_path: Path) -> None:
    """`verify` compares them message by message, with what was said of the source."""
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5", sim=False)
    report = proved(log, tmp_path / "out", fps="29.97", exclude=("*/cam_low",))
    assert report.frames == 6
    proof = mrt.verify(tmp_path / "out", against=log)
    assert (proof.messages_compared, proof.messages_different) == (6, 0)


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_whole_mp4_gives_its_packets(tmp_path: Path, codec: str) -> None:
    log = hdf5logs.droid_video(tmp_path / "trajectory.h5", 9, codec)
    with opened(log) as reader:
        (channel,) = reader.channels
        assert channel.role == "image"
        messages = list(reader.messages())
        images = [reader.image(message) for message in messages]
        assert [message.log_time_ns for message in messages] == [(40 * at + at * at) * 10**6 for at in range(9)]
        assert [message.log_time_ns for message in reader.messages(start_ns=10**8, stop_ns=2 * 10**8)] == [
            129 * 10**6,
            176 * 10**6,
        ]
    assert {(image.kind, image.encoding) for image in images} == {("packet", "h264" if codec == "libx264" else "av1")}
    decoder = av.CodecContext.create("h264" if codec == "libx264" else "libdav1d", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frames = [frame for image in images for frame in decoder.decode(av.Packet(bytes(image.data)))]
    frames += decoder.decode(None)
    assert [frame_number(frame.to_ndarray(format="rgb24").astype(np.uint8)) for frame in frames] == list(range(9))


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_whole_mp4_is_remuxed(tmp_path: Path, codec: str) -> None:
    log, out = hdf5logs.droid_video(tmp_path / "trajectory.h5", 9, codec), tmp_path / "out"
    report = proved(log, out)
    topic = "observations/videos/23404442_left"
    assert [(one.topic, one.frames, one.embedded) for one in report.topics] == [(topic, 9, 0)]
    assert report.lossless
    with mrt.open_dataset(out) as dataset:
        assert set(dataset[topic].status.tolist()) == {"remuxed"}
        times_ns = dataset[topic].log_times_ns.tolist()
    assert times_ns == [(40 * at + at * at) * 10**6 for at in range(9)]
    assert numbers(out, topic) == list(range(9))
    with h5py.File(log) as old, h5py.File(out / log.name) as new:
        same_elsewhere(old, new, {topic})
        assert new[topic].shape == (9,)
    with mrt.open_dataset(out / log.name) as alone:  # its times are in the file
        assert alone[topic].log_times_ns.tolist() == times_ns


def test_mp4_with_b_frames_is_kept(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for each in hdf5logs.pictures(range(12)):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="rgb24")))
        out.mux(stream.encode(None))
    log = tmp_path / "x.h5"
    with h5py.File(log, "w") as file:
        file["video"] = np.frombuffer(clip.read_bytes(), np.uint8)
    report = proved(log, tmp_path / "out")
    assert "B-frames" in report.losses[0].what
    with h5py.File(log) as old, h5py.File(tmp_path / "out" / log.name) as new:
        same_elsewhere(old, new, set())


def test_real_aloha_episode(tmp_path: Path) -> None:
    log, out = real_log("hdf5/aloha_raw_episode_0.hdf5"), tmp_path / "out"
    report = proved(log, out)
    assert {topic.topic: topic.frames for topic in report.topics} == {
        "observations/images/cam_high": 8,
        "observations/images/cam_right_wrist": 8,
    }
    check_real(log, out, report)


def test_real_robomimic_file(tmp_path: Path) -> None:
    log, out = real_log("hdf5/robomimic_image.hdf5"), tmp_path / "out"
    report = proved(log, out, fps=20)
    assert (report.frames, len(report.topics)) == (480, 8)
    check_real(log, out, report, [f"data/demo_{demo}/next_obs/agentview_image" for demo in range(4)])


def check_real(log: Path, out: Path, report: mrt.Report, repeated: Sequence[str] = ()) -> None:
    """Each picture that the references show is nearest to its own row of the source; all else is identical."""
    with h5py.File(log) as old, h5py.File(out / log.name) as new, mrt.open_dataset(out) as dataset:
        same_elsewhere(old, new, {*dataset, *repeated})
        for name, topic in dataset.items():
            shown = topic.batch(range(len(topic))).data.astype(np.int16)
            assert shown.shape == old[name].shape
            errors = np.abs(shown - old[name][:].astype(np.int16)).mean(axis=(1, 2, 3))
            assert errors.max() < 8
        for name in repeated:
            base = new[new[name].attrs["mediaref_repeats"]]
            assert new[name][:-1].tolist() == base[1:].tolist()
    assert report.lossless
