"""When each row of an HDF5 dataset was taken: a dataset of times beside it, or so many a second. Never a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from .file import attribute

__all__ = ["Times", "attribute_fps", "even", "listed", "rate", "read_back", "sibling", "unit_of"]

_NAMED = re.compile(r"^(timestamps?|times?|stamps?|t)(_|$)|(_|^)(timestamps?|times?|stamps?|ns)$", re.IGNORECASE)
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# Unix times from 1973 on, by magnitude: each unit's span is below the next one's.
_EPOCH = (("ns", 10**17), ("us", 10**14), ("ms", 10**11), ("s", 10**8))
# What a camera's period may be where times count from some start: at most one unit can fit.
_PERIOD_MIN_S, _PERIOD_MAX_S = 1 / 240, 0.5
_STEP_MAX_S = 1000
_LATEST = 2.0**62  # ns
_RATES = ("fps", "frame_rate", "framerate", "control_freq", "control_frequency", "frequency", "hz")
_FPS_MIN, _FPS_MAX = Fraction(1, 100), Fraction(1000)


class Times(NamedTuple):
    """A rule for times.

    Attributes:
        why: What it is, for people.
        told: The same as JSON values, for `read_back`.
        fps, start_ns: Where rows are spaced evenly.
        times_ns: (N,) int64 where each has its own.
    """

    why: str
    told: dict[str, Any]
    fps: Fraction | None = None
    start_ns: int = 0
    times_ns: NDArray[np.int64] | None = None

    def at(self, row: int) -> int:
        """The log time of a row, in ns."""
        if self.times_ns is not None:
            return int(self.times_ns[row])
        if self.fps is None:
            return self.start_ns + row
        return self.start_ns + round(Fraction(row * 10**9) / self.fps)


def even(fps: Fraction, start_ns: int, why: str) -> Times:
    """So many rows a second."""
    return Times(why, {"fps": str(fps), "start_ns": start_ns}, fps, start_ns)


def listed(times_ns: NDArray[np.int64], why: str, told: dict[str, Any]) -> Times:
    """A time for each row."""
    return Times(why, told, None, 0, times_ns)


def sibling(file: h5py.File, datasets: Iterable[str], path: str, rows: int) -> tuple[Times | None, str]:
    """Times from a dataset beside the pictures at `path`, or in a group above; the nearest, and best named.

    Returns:
        The rule, or None; and what was found that can't be one, for people.
    """
    folder, _, name = path.rpartition("/")
    above = [folder] + [folder[:at] for at in range(len(folder) - 1, 0, -1) if folder[at] == "/"]
    above += [""] if folder else []
    found: list[tuple[tuple[int, bool, str], str]] = []
    for other in datasets:
        place, _, label = other.rpartition("/")
        if place in above and other != path and (_NAMED.search(label) or label == f"{name}_t"):
            found.append(((above.index(place), name not in label, label), other))
    refused = []
    for _, other in sorted(found):
        dataset = file[other]
        if dataset.dtype.kind not in "iuf" or dataset.shape not in ((rows,), (rows, 1)) or not _is_there(dataset):
            continue
        values = dataset[()].reshape(-1)
        unit, reason = unit_of(values, other)
        if unit is None:
            refused.append(f"{other} holds no times ({reason})")
            continue
        told = {"dataset": other, "unit": unit}
        return listed(_ns(values, unit), f"times from {other}, in {unit} ({reason})", told), ""
    return None, "; ".join(refused)


def _is_there(dataset: h5py.Dataset) -> bool:
    # Not one of a sparse shape, of external files or of other datasets: reading it may be endless.
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        return False
    return bool(dataset.id.get_storage_size() * 2000 >= dataset.size * dataset.dtype.itemsize)


def unit_of(values: NDArray[Any], name: str) -> tuple[str | None, str]:
    """The unit of times, told by their magnitude: Unix times by that of the first one, others by their steps.

    Returns:
        "s", "ms", "us" or "ns" and why; or None and why not.
    """
    if not np.isfinite(values).all():
        return None, "not all are finite"
    steps = np.diff(values.astype(np.longdouble))
    if len(steps) and steps.min() < 0:
        return None, "they do not grow"
    if values[0] < 0:
        return None, f"the first is {values[0]}"
    first, last = float(values[0]), float(values[-1])
    step = float(np.median(steps)) if len(steps) else 0.0
    if len(steps) and step == 0:
        return None, f"most are equal, {values.dtype} can't tell them apart"
    if last >= _LATEST:
        return None, f"the last is {last:.4g}"
    for unit, least in _EPOCH:
        if first >= least:
            # A clock that began at boot may say as much, in a smaller unit: its steps would be days.
            if step * _UNITS[unit] > _STEP_MAX_S * 10**9 or last * _UNITS[unit] >= _LATEST:
                break
            return unit, f"{first:.4g} is a Unix time"
    fits = [unit for unit, size in _UNITS.items() if _PERIOD_MIN_S <= step * size / 1e9 <= _PERIOD_MAX_S]
    if len(fits) == 1 and last * _UNITS[fits[0]] < _LATEST:
        return fits[0], f"a step of {step:.4g} is {_UNITS[fits[0]] * step / 1e6:.4g} ms"
    return None, f"a step of {step:.4g} fits no unit" if len(steps) else f"{name} has one value"


def _ns(values: NDArray[Any], unit: str) -> NDArray[np.int64]:
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * _UNITS[unit]
    # Whole numbers and fractions apart: a float of 64 bits holds Unix seconds to 0.2 µs, their product in ns does not.
    whole = np.floor(values.astype(np.float64))
    rest = np.rint((values.astype(np.float64) - whole) * _UNITS[unit])
    return whole.astype(np.int64) * _UNITS[unit] + rest.astype(np.int64)


def attribute_fps(file: h5py.File, path: str) -> tuple[Fraction, str] | None:
    """A rate that an attribute names: of the dataset, of a group above it, or robomimic's `env_args`."""
    parts = path.split("/")
    for depth in range(len(parts), -1, -1):
        place = "/".join(parts[:depth]) or "/"
        for name, value in _rates(file[place]):
            fps = rate(value)
            if fps is not None:
                return fps, f"{float(fps):g} a second, by the attribute {name} of {place}"
    return None


def _rates(found: h5py.Group | h5py.Dataset) -> Iterator[tuple[str, Any]]:
    for name in _RATES:
        yield name, attribute(found, name)
    try:
        told = json.loads(attribute(found, "env_args"))
        yield "env_args: control_freq", told["env_kwargs"]["control_freq"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return


def rate(value: Any) -> Fraction | None:
    """A number of pictures a second that may be meant; None if it can't be one."""
    try:
        number = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
        if isinstance(number, bool) or not isinstance(number, (int, float, str)):
            return None
        fps = Fraction(str(number))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return fps if _FPS_MIN <= fps <= _FPS_MAX else None


def read_back(text: Any, file: h5py.File, attributes: Any, rows: int) -> Times | None:
    """The rule that the attribute `mediaref_time` of a dataset of references tells; None if it tells none."""
    try:
        told = json.loads(text)
        if "fps" in told:
            fps, start_ns = rate(told["fps"]), int(told["start_ns"])
            return None if fps is None or abs(start_ns) > _LATEST else even(fps, start_ns, f"{fps} a second")
        if "attribute" in told:
            values = np.asarray(attributes[told["attribute"]], np.int64)
        else:
            dataset = file[told["dataset"]]
            if not _is_there(dataset):
                return None
            values = _ns(dataset[()].reshape(-1), told["unit"])
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, OverflowError, RecursionError):
        return None
    return listed(values, f"times of {told}", told) if values.shape == (rows,) else None
