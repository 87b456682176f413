"""The tables of docs/encodings.md: what becomes of every encoding, found out by converting samples of them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.sample import (
    START_NS,
    ImageEncoding,
    SampleMessage,
    encoding_topics,
    header,
    numbered_pixels,
    numbered_topic,
    write_log,
)

__all__ = ["filled"]

_SIZE = (96, 160)
_TIMES = [START_NS, START_NS + 100_000_000]
_FILES = {
    "jpeg": "JPEG", "png": "PNG", "webp": "WebP", "tiff": "TIFF", "bmp": "BMP", "avif": "AVIF",
    "zstd": "zstd transport",
}  # fmt: skip
_VARIANTS = {
    "422": " 4:2:2", "444": " 4:4:4", "gray": " gray", "progressive": " progressive", "cmyk": " CMYK",
    "exif": " with EXIF", "swapped": " with red and blue swapped", "gray16": " gray of 16 bits", "rgb16": " of 16 bits",
    "alpha": " with transparency", "palette": " with a palette", "lossless": " lossless", "gzip": " (gzip)",
    "zlib": " (zlib)", "frame": " (zstd)",
}  # fmt: skip
_CHOICES: dict[str, Settings] = {
    "by default": Settings(),
    "`--codec lossless`": Settings(codec="lossless"),
    "`--codec copy`": Settings(codec="copy"),
    "`--depth ffv1`": Settings(depth="ffv1"),
    "`--depth keep`": Settings(depth="keep"),
    "`--debayer`": Settings(debayer=True),
}
_KEPT = "kept in the log"
_BECOMES = {
    "h264": "H.264 video", "ffv1": "FFV1 video", "mjpeg": "its own file, in an MJPEG track",
    "png": "its own file, in a PNG track",
}  # fmt: skip


class _Outcome(NamedTuple):
    """What became of a topic: its codec, whether that is exact, and how the reader gives it out."""

    becomes: str
    loss: str
    natural: str
    native: str


def filled(page: str) -> str:
    """The page with its tables made anew: what stands between `<!-- table NAME -->` and `<!-- end -->`."""
    outcomes = {choice: _outcomes(settings) for choice, settings in _CHOICES.items()}
    tables = {"outcomes": _outcome_table(outcomes["by default"]), "choices": _choice_table(outcomes)}
    for name, table in tables.items():
        head, begin, rest = page.partition(f"<!-- table {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        page = head + begin + "\n" + table + "\n" + end + tail
    return page


def _outcome_table(outcomes: dict[str, _Outcome]) -> str:
    lines = ["| image | becomes | loss | comes back as | `native`, where it differs |", "|---|---|---|---|---|"]
    for outcome, labels in _grouped(outcomes).items():
        native = "" if outcome.native == outcome.natural else outcome.native
        lines.append(f"| {', '.join(labels)} | {outcome.becomes} | {outcome.loss} | {outcome.natural} | {native} |")
    return "\n".join(lines)


def _choice_table(outcomes: dict[str, dict[str, _Outcome]]) -> str:
    lines = [f"| image | {' | '.join(_CHOICES)} |", "|---" * (len(_CHOICES) + 1) + "|"]
    rows = {
        label: tuple(outcomes[choice][label].becomes.removesuffix(" video") for choice in _CHOICES)
        for label in outcomes["by default"]
    }
    for cells, labels in _grouped(rows).items():
        shown = [cells[0], *("" if cell == cells[0] else cell for cell in cells[1:])]
        lines.append(f"| {', '.join(labels)} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _grouped(rows: dict[str, Any]) -> dict[Any, list[str]]:
    """Labels by what they have in common, in the order in which that comes first."""
    groups: dict[Any, list[str]] = {}
    for label, row in rows.items():
        groups.setdefault(row, []).append(label)
    return groups


def _outcomes(settings: Settings) -> dict[str, _Outcome]:
    """By the label of each kind of image. Byte order and padding change nothing: that is checked."""
    samples = _samples()
    with tempfile.TemporaryDirectory() as folder:
        messages = [message for _, sample in samples.values() for message in sample]
        source = write_log(Path(folder) / "log.mcap", "mcap", messages)
        report = convert(source, Path(folder) / "out", settings=settings)
        codecs = {topic.topic: topic.codec for topic in report.topics}
        found: dict[str, _Outcome] = {}
        with open_dataset(Path(folder) / "out") as dataset:
            for name, (label, _) in samples.items():
                outcome = _outcome(codecs.get(name), dataset.get(name))
                if found.setdefault(label, outcome) != outcome:
                    raise ValueError(f"{name} became {outcome}, and its like {found[label]}")
    return found


def _outcome(codec: str | None, topic: Topic | None) -> _Outcome:
    if topic is None:
        return _Outcome(_KEPT, "none, byte for byte", "not read", "not read")
    becomes = _KEPT if codec is None else _BECOMES[codec]
    loss = "none" if np.isinf(topic.psnr_db).all() else "lossy"
    if codec in (None, "mjpeg", "png"):
        loss = "none, byte for byte"
    return _Outcome(becomes, loss, _form(lambda: topic.batch([0, 1])), _form(lambda: topic.batch([0, 1], "native")))


def _form(read: Callable[[], Any]) -> str:
    """Shape and dtype, with names for the numbers."""
    try:
        data = read().data[0]
    except Exception:  # whatever it is that can't be given out so
        return "not read"
    height, width, *channels = data.shape
    if (height, width) != _SIZE:
        raise ValueError(f"a picture of {width}x{height} came back")
    shape = ", ".join(["H", "W", *map(str, channels)])
    metres = " metres" if data.dtype == np.float32 else ""
    return f"({shape}) {data.dtype}{metres}"


def _samples() -> dict[str, tuple[str, list[SampleMessage]]]:
    """Label and messages of each topic, by its name."""
    found: dict[str, tuple[str, list[SampleMessage]]] = {}
    for name, topic in encoding_topics().items():
        label = _label(topic.encoding) + ("" if topic.depth_header else " without its 12 bytes")
        found[name] = label, numbered_topic(name, _TIMES, size=_SIZE, **topic._asdict())
    for encoding in ("rgba8", "bgra8"):
        name = f"/see_through/{encoding}"
        found[name] = f"`{encoding}` with transparency", _see_through(name, encoding)
    for kind in ("jpeg", "png"):
        name = f"/mosaic/{kind}"
        found[name] = f"{_FILES[kind]} of a Bayer mosaic", _mosaic_files(name, kind)
    return found


def _label(encoding: str) -> str:
    kind, _, variant = encoding.partition("-")
    if kind == "compressedDepth":
        coding, source = variant.split("-")
        return f"compressedDepth of {source} ({coding.upper()})"
    return _FILES[kind] + (_VARIANTS[variant] if variant else "") if kind in _FILES else f"`{encoding}`"


def _see_through(topic: str, encoding: ImageEncoding) -> list[SampleMessage]:
    messages = numbered_topic(topic, _TIMES, size=_SIZE, encoding=encoding)
    for message in messages:
        message.body.data = message.body.data.copy()
        message.body.data[3::4] = np.arange(message.body.data.size // 4) % 256
    return messages


def _mosaic_files(topic: str, kind: str) -> list[SampleMessage]:
    messages = []
    for number, time_ns in enumerate(_TIMES):
        stream = io.BytesIO()
        Image.fromarray(numbered_pixels(number, "bayer_rggb8", _SIZE)).save(stream, kind)
        body = SimpleNamespace(
            header=header(time_ns, "camera"),
            format=f"bayer_rggb8; {kind} compressed ",
            data=np.frombuffer(stream.getvalue(), np.uint8),
        )
        messages.append(SampleMessage(topic, "sensor_msgs/msg/CompressedImage", time_ns, body))
    return messages
