"""Order within a lane, lanes side by side, and memory that stays still."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from concurrent.futures import CancelledError, Future
from functools import partial

import pytest

from mediaref_tools.lanes import Backlog, Lanes

LONG = 20.0  # s: only a broken lane takes that long


def test_a_lane_keeps_its_order_and_runs_one_at_a_time() -> None:
    order: dict[str, list[int]] = defaultdict(list)
    busy: dict[str, int] = defaultdict(int)
    overlaps: list[str] = []
    rng = random.Random(4)

    def work(lane: str, number: int, pause: float) -> int:
        busy[lane] += 1
        if busy[lane] > 1:
            overlaps.append(lane)
        time.sleep(pause)
        order[lane].append(number)
        busy[lane] -= 1
        return number * 10

    with Lanes(4) as lanes:
        futures = [
            lanes.submit(lane, partial(work, lane, n, rng.random() / 500))
            for n in range(40)
            for lane in ("a", "b", "c")
        ]
        assert [future.result(LONG) for future in futures] == [n * 10 for n in range(40) for _ in range(3)]
    assert not overlaps
    assert all(numbers == list(range(40)) for numbers in order.values())
    assert set(order) == {"a", "b", "c"}


def test_lanes_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=LONG)
    with Lanes(2) as lanes:
        futures = [lanes.submit(lane, meet.wait) for lane in ("a", "b")]
        assert sorted(future.result(LONG) for future in futures) == [0, 1]


def test_no_more_than_the_threads_run_at_once() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    with Lanes(2) as lanes:
        for future in [lanes.submit(str(piece % 6), work) for piece in range(36)]:
            future.result(LONG)
    assert most == 2


def test_a_busy_lane_does_not_starve_the_others() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go.wait(LONG)

    with Lanes(1) as lanes:
        lanes.submit("busy", first)
        begun.wait(LONG)
        last = [lanes.submit("busy", partial(done.append, f"busy {n}")) for n in range(20)][-1]
        other = lanes.submit("other", lambda: done.append("other"))
        go.set()
        other.result(LONG)
        assert not last.done() or done.index("other") < 3
        last.result(LONG)
    assert done.index("other") <= 1


def test_a_failure_surfaces_and_cancels_what_waits_in_its_lane_only() -> None:
    begun, go = threading.Event(), threading.Event()
    ran: list[str] = []

    def fail() -> None:
        begun.set()
        go.wait(LONG)
        raise ZeroDivisionError("mine")

    with Lanes(2) as lanes:
        before = lanes.submit("a", lambda: ran.append("a before"))
        failing = lanes.submit("a", fail)
        begun.wait(LONG)
        waiting = [lanes.submit("a", lambda: ran.append("a after")) for _ in range(3)]
        others = [lanes.submit("b", lambda: ran.append("b")) for _ in range(3)]
        go.set()
        with pytest.raises(ZeroDivisionError, match="mine"):
            failing.result(LONG)
        for future in waiting:
            with pytest.raises(CancelledError):
                future.result(LONG)
        for future in (before, *others):
            future.result(LONG)
        # The lane itself is not dead.
        assert lanes.submit("a", lambda: 7).result(LONG) == 7
    assert sorted(ran) == ["a before", "b", "b", "b"]


def test_even_an_exit_belongs_to_who_asks() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with Lanes(1) as lanes:
        failing = lanes.submit("a", leave)
        with pytest.raises(SystemExit):
            failing.result(LONG)
        assert lanes.submit("b", lambda: 1).result(LONG) == 1


def _leave_while_one_runs(lanes: int, more: list[str]) -> tuple[list[str], list[Future[None]]]:
    """Leave the block while lane "a" works, with more pieces queued. Returns what ran, and the futures of the rest."""
    begun, go = threading.Event(), threading.Event()
    ran: list[str] = []

    def work() -> None:
        begun.set()
        go.wait(LONG)
        ran.append("running")

    with Lanes(lanes) as pool:
        pool.submit("a", work)
        begun.wait(LONG)
        futures = [pool.submit(lane, partial(ran.append, lane)) for lane in more]
        threading.Timer(0.2, go.set).start()
    return ran, futures


def test_the_end_of_the_block_waits_for_what_runs_and_cancels_what_waits_in_its_lane() -> None:
    ran, futures = _leave_while_one_runs(2, ["a", "a"])
    assert ran == ["running"]
    assert all(future.cancelled() for future in futures)


def test_the_end_of_the_block_cancels_whatever_has_not_begun() -> None:
    ran, futures = _leave_while_one_runs(1, ["b", "b", "c"])
    assert ran == ["running"]
    assert all(future.cancelled() for future in futures)


def test_an_error_in_the_block_ends_it_too() -> None:
    begun = threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.05)

    with pytest.raises(KeyError), Lanes(1) as lanes:
        lanes.submit("a", work)
        begun.wait(LONG)
        late = lanes.submit("a", lambda: None)
        raise KeyError("x")
    assert late.cancelled()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lane")]


def done(value: int) -> Future[int]:
    future: Future[int] = Future()
    future.set_result(value)
    return future


def test_backlog_gives_out_what_is_done_in_order() -> None:
    backlog: Backlog[str, int] = Backlog(most_bytes=100, most_items=10)
    slow: Future[int] = Future()
    assert list(backlog.put("a", None, 1)) == [("a", None)]
    assert list(backlog.put("b", slow, 1)) == []
    assert list(backlog.put("c", done(3), 1)) == []  # done, but behind
    assert list(backlog.put("d", None, 1)) == []
    slow.set_result(2)
    assert list(backlog.put("e", Future(), 1)) == [("b", 2), ("c", 3), ("d", None)]


@pytest.mark.parametrize(("most_bytes", "most_items", "held"), [(30, 100, 3), (10**9, 4, 4), (5, 100, 0)])
def test_backlog_waits_where_there_is_no_room(most_bytes: int, most_items: int, held: int) -> None:
    backlog: Backlog[int, int] = Backlog(most_bytes=most_bytes, most_items=most_items)
    futures: list[Future[int]] = [Future() for _ in range(8)]
    out: list[tuple[int, int | None]] = []
    for number in range(held):
        out += backlog.put(number, futures[number], 10)
    assert out == []
    waiting = threading.Thread(target=lambda: out.extend(backlog.put(held, futures[held], 10)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    futures[0].set_result(100)
    waiting.join(LONG)
    assert out == [(0, 100)]


def test_backlogs_bytes_become_free_again() -> None:
    backlog: Backlog[int, int] = Backlog(most_bytes=20, most_items=100)
    for number in range(50):
        future: Future[int] = Future()
        assert list(backlog.put(number, future, 20)) == []
        future.set_result(number)
        assert list(backlog.drain()) == [(number, number)]


def test_backlog_raises_what_its_work_raised_when_its_turn_comes() -> None:
    backlog: Backlog[str, int] = Backlog(most_bytes=100, most_items=100)
    slow: Future[int] = Future()
    failed: Future[int] = Future()
    failed.set_exception(ZeroDivisionError("mine"))
    assert list(backlog.put("slow", slow, 1)) == list(backlog.put("failed", failed, 1)) == []
    assert list(backlog.put("last", None, 1)) == []
    slow.set_result(1)
    out = backlog.drain()
    assert next(out) == ("slow", 1)
    with pytest.raises(ZeroDivisionError, match="mine"):
        next(out)
    assert list(backlog.drain()) == [("last", None)]
