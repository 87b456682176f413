"""Tables, bars and figures of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mediaref_tools.plaintext import change, count, percent, size
from mediaref_tools.report import TopicReport
from mediaref_tools.webreport.markup import Markup, element, joined

__all__ = ["Figure", "bars", "bullets", "facts", "figures", "sentence", "table"]


_OPEN, _MOST = 8, 100  # lines of a list


class Figure(NamedTuple):
    """A number that somebody looks for first: what it is, the number, and what else there is to say of it."""

    name: str
    value: str
    note: str = ""


def figures(found: Iterable[Figure]) -> Markup:
    """Numbers side by side."""
    cells = [
        element(
            "div",
            element("dt", each.name),
            element("dd", each.value, element("small", each.note) if each.note else ""),
        )
        for each in found
    ]
    return element("dl", *cells, class_="figures")


def facts(rows: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they are."""
    cells = [joined([element("dt", name), element("dd", value)]) for name, value in rows]
    return element("dl", *cells, class_="facts")


def bullets(lines: Sequence[str], kind: str) -> Markup:
    """A list of sentences: the first ones, those behind them where somebody asks, and how many more; "" for none."""
    shown, folded, left = lines[:_OPEN], lines[_OPEN:_MOST], len(lines) - _MOST
    parts = [_list(shown, kind)] if shown else []
    if folded:
        words = f"and {count(len(lines) - _OPEN)} more"
        ends = [f"{count(left)} more are not listed"] if left > 0 else []
        parts.append(element("details", element("summary", words), _list([*folded, *ends], kind)))
    return joined(parts)


def _list(lines: Iterable[str], kind: str) -> Markup:
    return element("ul", *(element("li", sentence(line)) for line in lines), class_=f"notes {kind}")


def sentence(line: str) -> str:
    """A line with a full stop. No capital letter: it may begin with a topic's name."""
    return line if line.endswith((".", ":")) else f"{line}."


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> Markup:
    """A table that becomes a list of cards on narrow screens.

    Args:
        headings: One a column.
        rows: Cells.
        words: How many columns from the left hold words; the others hold numbers.
    """
    kinds = [None if column < words else "number" for column in range(len(headings))]
    head = element("tr", *(element("th", name, class_=kind) for name, kind in zip(headings, kinds, strict=True)))
    body = [
        element(
            "tr",
            *(
                element("td", element("span", cell), class_=kind, data_label=name)
                for cell, kind, name in zip(row, kinds, headings, strict=True)
            ),
        )
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", *body))


def bars(topics: Sequence[TopicReport]) -> Markup:
    """Bytes of each topic before and after, to one scale; "" where there are none."""
    most = max((max(topic.bytes_in, topic.bytes_out) for topic in topics), default=0)
    if not most:
        return Markup("")
    rows = []
    for topic in topics:
        ratio = f" ({percent(topic.bytes_out / topic.bytes_in)})" if topic.bytes_in else ""
        rows.append(
            element(
                "div",
                element("div", topic.topic, class_="name"),
                _bar(topic.bytes_in, most, "before"),
                _bar(topic.bytes_out, most, "after"),
                class_="bar",
                title=f"{change(topic.bytes_in, topic.bytes_out, '→')}{ratio}",
            )
        )
    caption = element(
        "figcaption",
        element("b", "Bytes of each topic"),
        " · ",
        element("span", "", class_="key before"),
        " images in the log ",
        element("span", "", class_="key after"),
        " video and embedded frames",
    )
    return element("figure", caption, *rows, class_="bars")


def _bar(number: int, most: int, kind: str) -> Markup:
    fill = element("span", "", class_=f"fill {kind}", style=f"width:{number / most:.2%}")
    return element(
        "div", element("span", fill, class_="track"), element("span", size(number), class_="size"), class_="row"
    )
