"""Keeping an encoder from taking the machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["leave_realtime"]

_THREADS = Path("/proc/self/task")


def leave_realtime() -> None:
    """Give every thread of this process ordinary priority again.

    Where it may (as root, as in most containers), libsvtav1 4.1 makes its threads and the one that opens it realtime
    (SCHED_FIFO, 99) when an encoder opens, and leaves them so: nothing else on the machine then gets a core that the
    process wants.
    """
    try:
        threads = list(_THREADS.iterdir())
    except OSError:
        return  # no Linux
    for thread in threads:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            number = int(thread.name)
            if os.sched_getscheduler(number) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(number, os.SCHED_OTHER, os.sched_param(0))
