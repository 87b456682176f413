"""PSNR over time as a picture: lines in SVG that stretch, and labels in HTML that don't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.plaintext import count, duration, plural
from mediaref_tools.webreport.markup import Markup, element, joined

__all__ = ["Mark", "decimated", "gaps", "psnr_plot"]

_MOST_POINTS = 1000
_MOST_GAPS = 100
_LONG = 5  # times the usual distance of frames: what is longer is a gap
_SIDE = 1000  # of the SVG's own square, which the page stretches
_STEPS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800)
_STEPS_H = (1, 2, 4, 8, 12, 24, 48)
_STEPS_DB = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


class Mark(NamedTuple):
    """A frame that a plot points at: its index on its topic, its label, and the id of the element that it leads to."""

    frame: int
    label: str
    target: str


def decimated(values: NDArray[np.float32], most: int = _MOST_POINTS) -> NDArray[np.int64]:
    """Which of (N,) values to draw, ascending: all, or of each of `most` / 2 stretches the lowest and the highest.

    NaN is left out.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) <= most:
        return known
    found = [part[[np.argmin(values[part]), np.argmax(values[part])]] for part in np.array_split(known, most // 2)]
    return np.unique(np.concatenate(found))


def gaps(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the frames after which there is none for five times as long as usual."""
    steps = np.diff(times_ns)
    if len(steps) < 2:
        return np.empty(0, np.int64)
    return np.flatnonzero(steps > _LONG * max(float(np.median(steps)), 1.0))


def psnr_plot(
    times_ns: NDArray[np.int64],
    psnr_db: NDArray[np.float32],
    *,
    floor_db: float | None = None,
    p1_db: float | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """A figure of a topic's PSNR.

    Args:
        times_ns: (N,) from the start of the log.
        psnr_db: (N,) inf where a frame is identical, which is drawn along the top; NaN where it is no video. One at
            least is finite.
        floor_db, p1_db: Lines across.
        marks: Frames of finite PSNR that are pointed at.
    """
    finite = psnr_db[np.isfinite(psnr_db)]
    if not len(finite):
        raise ValueError("no frame has a finite PSNR: there is nothing to draw")
    has_exact = bool(np.isposinf(psnr_db).any())
    levels = [float(finite.min()), float(finite.max()), *(level for level in (floor_db, p1_db) if level is not None)]
    scale = _Scale.over(times_ns, min(levels), max(levels), has_exact=has_exact)
    breaks = gaps(times_ns)
    lines = [
        _shades(scale, times_ns, breaks),
        *(_level(scale.y(level), "grid") for level in scale.y_ticks()),
        *([] if p1_db is None else [_level(scale.y(p1_db), "p1")]),
        _curve(scale, times_ns, psnr_db, breaks),
        *([] if floor_db is None else [_level(scale.y(floor_db), "floor")]),
    ]
    told = f"PSNR of {plural(len(psnr_db), 'frame')} over time: {finite.min():.1f} to {finite.max():.1f} dB"
    svg = element(
        "svg", *lines, viewBox=f"0 0 {_SIDE} {_SIDE}", preserveAspectRatio="none", role="img", aria_label=told
    )
    labels = [_label(f"{level:g}", "tick y", bottom=scale.y(level)) for level in scale.y_ticks()]
    labels += [_label("exact", "tick y", bottom=_SIDE)] if has_exact else []
    labels += [_label(text, "tick x", left=scale.x(time_ns)) for time_ns, text in scale.x_ticks()]
    is_missed = None not in (p1_db, floor_db) and p1_db < floor_db  # type: ignore[operator]
    if p1_db is not None:
        labels.append(_label(f"p1 {p1_db:.1f}", f"line {'under' if is_missed else 'over'}", bottom=scale.y(p1_db)))
    if floor_db is not None:
        kind = f"line asked {'over' if is_missed else 'under'}"
        labels.append(_label(f"floor {floor_db:g}", kind, bottom=scale.y(floor_db)))
    for mark in marks:
        x, y = scale.x(int(times_ns[mark.frame])), scale.y(float(psnr_db[mark.frame]))
        labels.append(_label(mark.label, "mark", href=f"#{mark.target}", left=x, bottom=y))
    words = (f" · {each}" for each in _words(psnr_db, times_ns))
    caption = joined([element("b", "PSNR over time"), " of luma in dB, as the conversion measured it", *words])
    return element("figure", element("figcaption", caption), element("div", svg, *labels, class_="axes"), class_="plot")


def _words(psnr_db: NDArray[np.float32], times_ns: NDArray[np.int64]) -> list[str]:
    """What a plot can't show, or not clearly."""
    words = []
    exact, embedded = int(np.isposinf(psnr_db).sum()), int(np.isnan(psnr_db).sum())
    if exact:
        words.append(f"{plural(exact, 'frame')} exact")
    if embedded:
        words.append(f"{count(embedded)} embedded")
    breaks = gaps(times_ns)
    if len(breaks):
        longest = int(np.diff(times_ns)[breaks].max())
        words.append(f"{plural(len(breaks), 'gap')} in the recording, the longest of {duration(longest)}")
    return words


class _Scale(NamedTuple):
    """Where times and levels are in the SVG, whose y counts from below."""

    first_ns: int
    last_ns: int
    low: float
    high: float
    top: float

    @classmethod
    def over(cls, times_ns: NDArray[np.int64], low: float, high: float, *, has_exact: bool) -> _Scale:
        room = max(0.06 * (high - low), 0.25)
        first, last = int(times_ns[0]), int(times_ns[-1])
        return cls(first, max(last, first + 1), low - room, high + room, 0.86 * _SIDE if has_exact else _SIDE)

    def x(self, time_ns: int) -> int:
        return round(_SIDE * (time_ns - self.first_ns) / (self.last_ns - self.first_ns))

    def y(self, level: float) -> int:
        return _SIDE if level == float("inf") else round(self.top * (level - self.low) / (self.high - self.low))

    def y_ticks(self) -> list[float]:
        step = next((step for step in _STEPS_DB if (self.high - self.low) / step <= 5), 50.0)
        first = int(np.ceil(self.low / step))
        return [round(at * step, 1) for at in range(first, int(self.high / step) + 1)]

    def x_ticks(self) -> list[tuple[int, str]]:
        length = (self.last_ns - self.first_ns) / 1e9
        steps = (*_STEPS_S, *(3600 * hours for hours in _STEPS_H))
        step = next((step for step in steps if length / step <= 6), 86400 * max(1, int(length / 86400 / 5)))
        step_ns = round(step * 1e9)
        first = -(-self.first_ns // step_ns)
        return [(at * step_ns, _clock(at * step_ns, step)) for at in range(first, self.last_ns // step_ns + 1)]


def _clock(time_ns: int, step_s: float) -> str:
    """A time from the start as its axis says it: 12.5 s, 3:20 min, 2:05 h."""
    if step_s < 30:
        return f"{time_ns / 1e9:g} s"
    minutes = time_ns // 60_000_000_000
    if step_s < 1200:
        return f"{minutes}:{time_ns // 1_000_000_000 % 60:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def _curve(
    scale: _Scale, times_ns: NDArray[np.int64], psnr_db: NDArray[np.float32], breaks: NDArray[np.int64]
) -> Markup:
    chosen = decimated(psnr_db)
    # A line runs on until a gap, or a frame that is no video.
    stops = np.zeros(len(psnr_db) + 1, np.int64)
    stops[breaks + 1] += 1
    stops[np.flatnonzero(np.isnan(psnr_db))] += 1
    runs = np.cumsum(stops)
    told, before = [], -1
    for index in chosen.tolist():
        at = f"{scale.x(int(times_ns[index]))} {_SIDE - scale.y(float(psnr_db[index]))}"
        told.append(f"L{at}" if runs[index] == before else f"M{at}h0")
        before = int(runs[index])
    return element("path", class_="curve", d="".join(told))


def _shades(scale: _Scale, times_ns: NDArray[np.int64], breaks: NDArray[np.int64]) -> Markup:
    steps = np.diff(times_ns)
    longest = breaks[np.argsort(-steps[breaks], kind="stable")[:_MOST_GAPS]].tolist()
    rects = []
    for before in sorted(longest):
        left, right = scale.x(int(times_ns[before])), scale.x(int(times_ns[before + 1]))
        rects.append(element("rect", class_="gap", x=left, y=0, width=max(right - left, 1), height=_SIDE))
    return joined(rects)


def _level(y: int, kind: str) -> Markup:
    return element("path", class_=kind, d=f"M0 {_SIDE - y}H{_SIDE}")


def _label(
    text: str, kind: str, *, left: int | None = None, bottom: int | None = None, href: str | None = None
) -> Markup:
    places = {"left": left, "bottom": bottom}
    style = ";".join(f"{side}:{at / _SIDE:.1%}" for side, at in places.items() if at is not None)
    return element("span" if href is None else "a", text, class_=kind, href=href, style=style)
