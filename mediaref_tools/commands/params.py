"""Options that several commands share, and parameter types of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mediaref_tools.commands import completion

__all__ = [
    "BYTES",
    "H264_WORST_CRF",
    "PATH",
    "RATE",
    "SECONDS",
    "SHARD",
    "TOPIC_CODEC",
    "allow_option",
    "amount",
    "html_option",
    "json_option",
    "overwrite_option",
    "quiet_option",
    "topic_option",
]

if TYPE_CHECKING:
    _ParamType = click.ParamType[int]
    _DictType = click.ParamType[dict[str, Any]]
    _RateType = click.ParamType[str]
    _ShardType = click.ParamType[tuple[int, int]]
else:  # not generic before click 8.4
    _ParamType = _DictType = _RateType = _ShardType = click.ParamType

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Not `exists=True`: whether there is a log or a dataset at a path is for the library to say, and it says more.
H264_WORST_CRF = 51
PATH = click.Path(path_type=Path)


class _Seconds(_ParamType):
    """A positive length of time in seconds, read exactly: an int of ns."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            time_ns = Decimal(str(value).removesuffix("s")) * 1_000_000_000
        except InvalidOperation:
            time_ns = Decimal("NaN")
        if not time_ns.is_finite() or not 0 < time_ns < 2**63 or time_ns != int(time_ns):
            self.fail(f"{value!r} is not a positive number of seconds, such as 60 or 0.5", param, ctx)
        return int(time_ns)


SECONDS = _Seconds()

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


class _Bytes(_ParamType):
    """A size: "5MB", "1.5 GiB", "4096"."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kmg]i?)?b?", str(value).strip().lower())
        size = Fraction(found[1]) * _UNITS[found[2] or ""] if found else Fraction(1, 2)
        if size.denominator != 1:
            self.fail(f"{value!r} is not a number of bytes, such as 5MB, 1.5GiB or 4096", param, ctx)
        return int(size)


BYTES = _Bytes()

_CODECS = ("h264", "av1", "copy", "lossless", "keep")
_RANGES = {"crf": (0, 63), "gop": (1, 1000)}


class _TopicCodec(_DictType):
    """`GLOB=CODEC[,crf=N][,gop=N]`: a dict of glob, codec, crf and gop."""

    name = "topic codec"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        glob, equals, rest = str(value).rpartition("=") if "," not in str(value) else _parted(str(value))
        codec, *options = rest.split(",")
        if not glob or not equals or codec not in _CODECS:
            self.fail(f"{value!r} is not GLOB=CODEC with a codec of {', '.join(_CODECS)}", param, ctx)
        found: dict[str, Any] = {"glob": glob, "codec": codec}
        for option in options:
            name, _, number = option.partition("=")
            least, most = _RANGES.get(name, (0, -1))
            if not number.isdecimal() or not least <= int(number) <= most:
                self.fail(f"{option!r} is none of crf=0 to crf=63 and gop=1 to gop=1000", param, ctx)
            found[name] = int(number)
        if codec == "h264" and found.get("crf", 0) > H264_WORST_CRF:
            self.fail(f"crf={found['crf']} is not in the range 0<=x<={H264_WORST_CRF} of h264", param, ctx)
        return found


def _parted(value: str) -> tuple[str, str, str]:
    """A value with options, at the last "=" before the first of them; a glob may hold "=" but no ","."""
    head, _, options = value.partition(",")
    glob, equals, codec = head.rpartition("=")
    return glob, equals, f"{codec},{options}"


TOPIC_CODEC = _TopicCodec()


class _Rate(_RateType):
    """Pictures a second, read exactly: "30", "29.97", "30000/1001"."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            rate = Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not 0 < rate <= 1000:
            self.fail(f"{value!r} is not a rate in the range 0<x<=1000, such as 30, 29.97 or 30000/1001", param, ctx)
        return str(rate)


RATE = _Rate()


class _Shard(_ShardType):
    """`I/N`: the Ith of N parts, from 1 on."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        number, _, count = str(value).partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is not I/N with I from 1 to N, such as 1/8", param, ctx)
        return int(number), int(count)


SHARD = _Shard()


def amount(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no number, which every comparison would let through."""
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is not a number.", ctx=ctx, param=param)
    return value


def topic_option(text: str) -> Callable[[_Command], _Command]:
    """`--topic GLOB`, as often as wanted; none stands for all."""
    return click.option(
        "--topic",
        "topics",
        metavar="GLOB",
        multiple=True,
        shell_complete=completion.topics,
        help=f"{text} [default: every one]",
    )


def allow_option() -> Callable[[_Command], _Command]:
    """`--allow WHERE`, as often as wanted: what references of others may name beside their own folder."""
    return click.option(
        "--allow",
        metavar="WHERE",
        multiple=True,
        help="Follow references of others there too: a folder, https://host/path, s3: or, for everything, '*'.",
    )


def json_option(text: str) -> Callable[[_Command], _Command]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def html_option(text: str) -> Callable[[_Command], _Command]:
    """`--html FILE`."""
    return click.option("--html", "html_file", metavar="FILE", type=PATH, help=text)


def quiet_option() -> Callable[[_Command], _Command]:
    """`-q`, `--quiet`."""
    return click.option("-q", "--quiet", is_flag=True, help="Show errors only.")


def overwrite_option(text: str) -> Callable[[_Command], _Command]:
    """`--overwrite`."""
    return click.option("--overwrite", is_flag=True, help=text)
