"""Tables and notes on standard output, readable on 80 columns, light or dark, and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mediaref_tools.plaintext import printable
from mediaref_tools.report import LossReport, TopicReport
from mediaref_tools.sentences import TOPIC_HEADINGS, loss_note, topic_cells

if TYPE_CHECKING:
    from mediaref_tools.summary import TopicSummary

__all__ = [
    "Column",
    "arrow",
    "dot",
    "fields",
    "loss_notes",
    "notes",
    "show_table",
    "show_topics",
]

_SHOWN_LOSSES = 10
_ENDLESS = 100_000


class Column(NamedTuple):
    """A column: its heading, and whether it holds names, which are folded, or figures, which never are."""

    heading: str
    kind: Literal["name", "figure", "word"] = "figure"


def show_table(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. Where it is too wide, the second name of a row goes below the first, and both are folded.

    Args:
        console: Where to.
        columns: The first is a name.
        rows: One text a column.
    """
    names = [number for number, column in enumerate(columns) if column.kind == "name"]
    table = _table(columns, rows)
    unfolded = Measurement.get(console, console.options.update_width(_ENDLESS), table).maximum
    if len(names) == 2 and unfolded > console.width:
        first, second = names
        left = [number for number in range(len(columns)) if number != second]
        table = _table(
            [columns[number] for number in left],
            [[row[number] for number in left] for row in rows],
            below=[row[second] for row in rows],
            name=first,
        )
    console.print(table)


def show_topics(console: Console, topics: Iterable[tuple[TopicReport | TopicSummary, str]], heading: str) -> None:
    """Print what became of topics: frames, sizes and quality of each.

    Args:
        console: Where to.
        topics: Each with what is said of its video.
        heading: Of that.
    """
    columns = [Column("topic", "name"), Column(heading, "name"), *map(Column, TOPIC_HEADINGS)]
    rows = [[topic.topic, video, *topic_cells(topic, arrow(console))] for topic, video in topics]
    show_table(console, columns, rows)


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, name: int = 0, below: Sequence[str] = ()
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        if column.kind == "name":
            table.add_column(column.heading, overflow="fold")
        else:
            table.add_column(
                column.heading, justify="right" if column.kind == "figure" else "left", no_wrap=True, overflow="fold"
            )
    for number, row in enumerate(rows):
        cells = [printable(cell) for cell in row]
        if below:
            cells[name] += f"\n  {printable(below[number])}"
        table.add_row(*(Text(cell) for cell in cells))
    return table


def fields(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name, style="bold"), Text(printable(value)))
    console.print(grid)


def notes(console: Console, lines: Iterable[str]) -> None:
    """Print what somebody should know, one yellow line each."""
    for line in lines:
        console.print(Text(printable(line), style="yellow"), soft_wrap=True)


def loss_notes(losses: Sequence[LossReport]) -> list[str]:
    """What a source claims and does not hold; the first ten, and how many more."""
    lines = [loss_note(loss) for loss in losses[:_SHOWN_LOSSES]]
    if len(losses) > _SHOWN_LOSSES:
        lines.append(f"and {len(losses) - _SHOWN_LOSSES} more losses: --json lists them all")
    return lines


def dot(console: Console) -> str:
    """What separates two statements on a line."""
    return ";" if console.options.ascii_only else " ·"


def arrow(console: Console) -> str:
    """What stands between before and after."""
    return "->" if console.options.ascii_only else "→"
