"""One topic of a page: its PSNR over time, and its worst frames side by side with their sources."""

from __future__ import annotations

import numpy as np

from mediaref_tools.dataset.kept import KeptSource
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.plaintext import count, seconds_text
from mediaref_tools.times import iso_time
from mediaref_tools.webreport.markup import Markup, element, joined
from mediaref_tools.webreport.plot import Mark, psnr_plot
from mediaref_tools.webreport.shots import AMPLIFIED, SMALL, Shot, shot, worst

__all__ = ["topic_sheet"]


def topic_sheet(
    topic: Topic,
    start_ns: int,
    *,
    original: KeptSource | None,
    anchor: str,
    floor_db: float | None = None,
    p1_db: float | None = None,
) -> Markup:
    """What there is to see of a topic. One frame's pictures are in memory at a time.

    Args:
        topic: Of a dataset.
        start_ns: The log time that times count from.
        original: The pictures as they were recorded, where there are any.
        anchor: Begins the ids of what the page's plot leads to.
        floor_db: What the first percentile of PSNR had to reach.
        p1_db: What it is.

    Raises:
        MediarefError: The frames table is damaged.
    """
    psnr_db = topic.psnr_db
    indices = worst(psnr_db, topic.log_times_ns)
    if not indices:
        first = np.flatnonzero(topic.pts_ns >= 0)[:1].tolist()
        strips = [_strip(shot(topic, index, original), topic, start_ns, None) for index in first]
        return joined([element("p", _no_loss(topic)), *strips])
    marks = [Mark(index, str(number), f"{anchor}-{number}") for number, index in enumerate(indices, 1)]
    times_ns = topic.log_times_ns - start_ns
    plot = psnr_plot(times_ns, psnr_db, floor_db=floor_db, p1_db=p1_db, marks=marks)
    words = "The worst frames, worst first, some time apart" if len(marks) > 1 else "The worst frame"
    strips = [_strip(shot(topic, mark.frame, original), topic, start_ns, mark) for mark in marks]
    return joined([plot, element("h4", words), *strips])


def _no_loss(topic: Topic) -> str:
    """Why there is no frame with a loss."""
    if not (topic.pts_ns >= 0).any():
        return "No frame is in video."
    if np.isposinf(topic.psnr_db).any():
        return "Every frame in video is identical to its source: there is no loss to draw."
    return "No frame's PSNR is known."


def _strip(shown: Shot, topic: Topic, start_ns: int, mark: Mark | None) -> Markup:
    """One frame's pictures in a row, with what it is."""
    height, width = shown.size
    quality = "exact" if shown.psnr_db == float("inf") else f"PSNR {shown.psnr_db:.1f} dB"
    facts = [
        f"frame {count(shown.frame)} of {count(len(topic))}",
        seconds_text(shown.log_time_ns - start_ns),
        f"{width}x{height}",
    ]
    caption = element(
        "figcaption",
        *([] if mark is None else [element("span", mark.label, class_="number")]),
        element("b", quality),
        *(f" · {fact}" for fact in facts),
        " ",
        element("span", f"{topic.name} · {iso_time(shown.log_time_ns)}", class_="soft"),
    )
    told = f"frame {shown.frame} of {topic.name}"
    pictures = [
        _picture(shown.source, "source", f"{told}, as it was recorded", shown),
        _picture(shown.decoded, "decoded", f"{told}, as the dataset shows it", shown),
        _picture(shown.difference, f"difference, {AMPLIFIED} times", f"{told}, what differs, {AMPLIFIED} times", shown),
    ]
    notes = [element("p", f"{trouble[:1].upper()}{trouble[1:]}.", class_="soft") for trouble in shown.troubles]
    return element(
        "figure",
        caption,
        element("div", *pictures, class_="pictures"),
        *notes,
        class_="strip",
        id=None if mark is None else mark.target,
    )


def _picture(uri: str | None, word: str, alt: str, shown: Shot) -> str:
    if uri is None:
        return Markup("")
    height, width = shown.size
    kind = "small" if max(shown.size) <= SMALL else None
    image = element("img", src=uri, alt=alt, width=width, height=height, class_=kind)
    return element("div", image, element("span", word, class_="soft"), class_="picture")
