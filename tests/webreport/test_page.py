"""The page: what the report says, and pictures that are those frames."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools import plaintext, sentences
from mediaref_tools.report import KeptTopic, LossReport, Report
from mediaref_tools.sample import frame_number, make_sample
from tests.smalllogs import camera, log_of, others
from tests.webreport.reading import Page, pixels

LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"
DECODED, RECORDED, DIFFERENCE = "as the dataset shows it", "as it was recorded", "what differs, 10 times"
HOSTILE = "/<script>alert(1)</script>/\"'&amp;\u202e<img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("page")
    log = make_sample(folder / "drive.mcap", container="mcap", seconds=3)
    return mrt.convert(log, folder / "drive", settings=mrt.Settings(min_psnr_db=38))


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(mrt.html_report(report))


def frames(page: Page, topic: str, what: str) -> dict[int, str]:
    """Data URIs of a topic's pictures by frame, in the order of the page."""
    pattern = re.compile(rf"frame (\d+) of {re.escape(topic)}, {what}")
    found = ((pattern.fullmatch(alt), uri) for alt, uri in page.pictures)
    return {int(match[1]): uri for match, uri in found if match}


def test_numbers_are_the_report_s(report: Report, page: Page) -> None:
    assert "Nothing was kept, embedded or lost." in page.words
    took = plaintext.duration(round(report.seconds * 1e9))
    assert f"Proved: {report.frames} references, 0 wrong, 0 missing" in page.words
    assert f"{sentences.sizes(report.bytes_in, report.bytes_out, '→')} in {took}" in page.words
    for topic in report.topics:
        cells = " ".join(sentences.topic_cells(topic, "→"))
        assert f"{topic.topic} {topic.codec} {topic.width}x{topic.height}, 1 segment {cells}" in page.words
        bars = f"{topic.topic} {plaintext.size(topic.bytes_in)} {plaintext.size(topic.bytes_out)}"
        assert bars in page.words
        assert f"p1 {topic.psnr_p1_db:.1f}" in page.words
    assert page.words.count("floor 38") == 2
    manifest = mrt.Manifest.read(Path(report.out))
    assert f"PyAV {manifest.tool.av}, libavcodec {manifest.tool.libavcodec}" in page.words
    assert "PSNR at least 38 dB" in page.words
    assert manifest.source.sha256 in page.words


@pytest.mark.parametrize("topic", [LEFT, RIGHT])
def test_pictures_are_those_of_the_worst_frames(report: Report, page: Page, topic: str) -> None:
    with mrt.open_dataset(report.out) as dataset:
        psnr, times = dataset[topic].psnr_db, dataset[topic].log_times_ns
    decoded, sources = (frames(page, topic, what) for what in (DECODED, RECORDED))
    assert list(decoded) == list(sources)
    assert 2 <= len(decoded) <= 4
    assert next(iter(decoded)) == int(np.argmin(psnr))
    assert (np.diff(psnr[list(decoded)]) >= 0).all()
    assert np.diff(np.sort(times[list(decoded)])).min() >= (times[-1] - times[0]) // 8
    start_ns = mrt.Manifest.read(Path(report.out)).source.start_ns
    assert start_ns is not None
    for index, uri in decoded.items():
        assert frame_number(pixels(uri)) == frame_number(pixels(sources[index])) == index
        since = plaintext.seconds_text(int(times[index]) - start_ns)
        assert f"PSNR {psnr[index]:.1f} dB · frame {index} of {len(psnr)} · {since}" in page.words


def test_a_difference_is_ten_times_what_differs(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(size=(96, 128)))
    made = mrt.convert(log, tmp_path / "set", settings=mrt.Settings(crf=40))
    page = Page(mrt.html_report(made))
    found = [frames(page, "/camera", what) for what in (DECODED, RECORDED, DIFFERENCE)]
    for index in found[0]:
        decoded, source, difference = (pixels(each[index]).astype(int) for each in found)  # small: PNG
        assert np.array_equal(difference, np.minimum(abs(decoded - source), 25) * 10)
        assert difference.max() > 0


def test_a_page_needs_nothing_but_itself(report: Report, page: Page) -> None:
    text = mrt.html_report(report)
    assert page.tags.isdisjoint({"script", "iframe", "object", "embed", "video", "form", "base"})
    assert page.pictures
    assert all(uri.startswith("data:image/") for _, uri in page.pictures)
    assert all(link == "data:," or link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"//|url\(|@import", re.sub(r'"data:[^"]*"', '""', text))
    assert text == mrt.html_report(report)  # nothing in it depends on the hour


def test_foreign_names_are_names(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", [*camera(HOSTILE), *camera("/b", 3)])
    report = mrt.convert(log, tmp_path / "set")
    bad = KeptTopic(topic=HOSTILE, reason=HOSTILE, messages=1)
    loss = LossReport(where=HOSTILE, what=HOSTILE, messages=None)
    told = report.model_copy(update={"kept": (bad,), "losses": (loss,), "warnings": (HOSTILE,), "missed": (HOSTILE,)})
    text = mrt.html_report(told)
    page = Page(text)
    assert "script" not in page.tags
    assert "\u202e" not in text
    assert plaintext.printable(HOSTILE) in page.words
    assert [alt for alt, _ in page.pictures if plaintext.printable(HOSTILE) in alt]
    assert "Done, but something was kept, embedded or lost." in page.words


def test_what_was_kept_is_told(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", [*camera(), *others()])
    report = mrt.convert(log, tmp_path / "set")
    assert not report.lossless
    page = Page(mrt.html_report(report))
    for line in sentences.losses(report):
        assert line in page.words
    for kept in report.kept:
        assert f"{kept.topic} {kept.reason} {kept.messages}" in page.words
    partly = report.topics[0].model_copy(update={"embedded": 3, "reason": "no picture"})
    page = Page(mrt.html_report(report.model_copy(update={"topics": (partly,), "embedded": 3, "segments_reused": 2})))
    assert "/camera no picture 3 of 20 frames" in page.words
    assert "had finished 2 segments." in page.words


def test_verification_with_and_without_the_log(report: Report) -> None:
    found = mrt.verify(report.out, against=report.source)
    page = Page(mrt.html_report(found))
    assert "Every reference shows its frame." in page.words
    assert f"Messages: {sentences.messages_compared(found)}" in page.words
    assert len(frames(page, LEFT, RECORDED)) == len(frames(page, LEFT, DECODED)) > 1
    alone = Page(mrt.html_report(mrt.verify(report.out)))
    assert "no log was given to compare with (--against LOG)" in alone.words
    assert not frames(alone, LEFT, RECORDED)
    assert frames(alone, LEFT, DECODED).keys() == frames(page, LEFT, RECORDED).keys()


def test_a_damaged_dataset_is_told_of(report: Report, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(report.out, tmp_path / "set"))
    for segment in (dataset / "media" / "camera-left-image_raw-compressed").iterdir():
        segment.write_bytes(b"nothing")
    found = mrt.verify(dataset)
    page = Page(mrt.html_report(found))
    assert "NOT as it should be." in page.words
    assert found.problems[0] in page.words
    assert found.problems[-1] in page.words
    assert "details" in page.tags
    assert "The frame can't be shown" in page.words
    assert frames(page, RIGHT, DECODED)
    told = Page(mrt.html_report(report.model_copy(update={"out": str(tmp_path / "gone"), "source": "gone.mcap"})))
    assert "No pictures: the dataset can't be read" in told.words
    assert plaintext.count(report.frames) in told.words


def test_a_log_that_is_gone_or_another(report: Report, tmp_path: Path) -> None:
    gone = Page(mrt.html_report(report.model_copy(update={"source": str(tmp_path / "gone.mcap")})))
    assert "the log is not there any more" in gone.words
    assert not frames(gone, LEFT, RECORDED)
    (tmp_path / "no.mcap").write_bytes(b"x")
    other = Page(mrt.html_report(report.model_copy(update={"source": str(tmp_path / "no.mcap")})))
    assert "The log's picture can't be shown" in other.words
    assert frames(other, LEFT, DECODED)


def test_no_loss_is_nothing_to_draw(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(encoding="png"))
    page = Page(mrt.html_report(mrt.convert(log, tmp_path / "set", settings=mrt.Settings(codec="lossless"))))
    assert "every frame is identical" in page.words
    assert "svg" not in page.tags
    [(index, uri)] = frames(page, "/camera", DECODED).items()
    assert frame_number(pixels(uri)) == index == 0
    assert not pixels(frames(page, "/camera", DIFFERENCE)[0]).any()


def test_a_batch(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_sample(tmp_path / f"{name}.mcap", container="mcap", seconds=1)
    (tmp_path / "cut.mcap").write_bytes((tmp_path / "a.mcap").read_bytes()[:5])
    logs = [tmp_path / f"{name}.mcap" for name in ("a", "b", "cut", "gone")]
    batch = mrt.convert_logs(logs, tmp_path / "sets")
    page = Page(mrt.html_report(batch))
    assert sentences.batch_counts(batch) in page.words
    for entry in batch.logs:
        assert " ".join(sentences.batch_cells(entry, "→")) in page.words
        if entry.error:
            assert f"{entry.log} failed: {entry.error}" in page.words
    assert f"{batch.failed} of 4 logs failed." in page.words
    assert "2 topics of better quality not shown." not in page.words
    assert [link for link in page.links if link.startswith("#log-") and link.count("-") == 1] == ["#log-1", "#log-2"]
    assert len(page.ids) == len(set(page.ids))
    again = mrt.convert_logs(logs[:1], tmp_path / "sets", delete_source=True)
    assert again.logs[0].source_deleted
    gone = Page(mrt.html_report(again))
    assert "the log was deleted, once its dataset was proved against it again" in gone.words
    assert frames(gone, LEFT, DECODED)


def test_many_topics_have_numbers_and_the_worst_have_pictures(tmp_path: Path) -> None:
    names = [f"/camera_{number:02d}" for number in range(18)]
    log = log_of(tmp_path, "mcap", [message for name in names for message in camera(name, 3)])
    report = mrt.convert(log, tmp_path / "set")
    page = Page(mrt.html_report(report))
    shown = {name for name in names if frames(page, name, DECODED)}
    ranked = sorted(report.topics, key=lambda topic: (topic.psnr_p1_db or 0, topic.topic))
    assert shown == {topic.topic for topic in ranked[:16]}
    assert "2 topics of better quality not shown." in page.words
    assert all(f"{name} h264" in page.words for name in names)


def test_of_many_logs_the_worst_topics_have_pictures(tmp_path: Path) -> None:
    logs = []
    for number in range(9):
        (tmp_path / str(number)).mkdir()
        messages = [*camera("/a", 2), *camera("/b", 2)]
        logs.append(log_of(tmp_path / str(number), "mcap", messages).rename(tmp_path / f"{number}.mcap"))
    page = Page(mrt.html_report(mrt.convert_logs(logs, tmp_path / "sets")))
    assert len([alt for alt, _ in page.pictures if alt.endswith(DECODED)]) <= 16 * 4
    assert page.words.count("of better quality not shown.") in (1, 2)
