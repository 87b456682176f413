"""`mediaref play` in a browser, from Python."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mediaref_tools.errors import MediarefError, OutputError
from mediaref_tools.viewer.recordings import recordings
from mediaref_tools.viewer.server import Server
from mediaref_tools.viewer.session import Session, Source

__all__ = ["Viewer", "view"]


class Viewer:
    """A page that shows topics, for as long as it is open: a context manager, made by `view`.

    Attributes:
        url: Where the page is. Its last part is a secret: whoever knows it can see the pictures.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopped = threading.Event()
        self.url = server.url

    def __repr__(self) -> str:
        return f"Viewer({self.url!r})"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def start_ns(self) -> int:
        """The log time at which the log begins, as far as is known."""
        return self._server.session().log_start_ns

    def wait(self) -> None:
        """Return when another thread closes it; a signal's handler may raise out of it."""
        # In steps: without them, no signal would get through on every platform.
        while not self._stopped.wait(0.5):
            pass

    def close(self) -> None:
        """Stop serving. Safe to call again."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def view(
    path: str | os.PathLike[str],
    *,
    topics: Sequence[str] = ("*",),
    host: str = "127.0.0.1",
    port: int = 0,
    allow: Sequence[str] = (),
    against: str | os.PathLike[str] | None = None,
) -> Viewer:
    """Serve a page that plays a dataset, a log or a video, frame by frame.

    Frames are decoded here, by the reader, when the page asks for them: it shows the frame on screen at its clock's
    log time, and its label always belongs to its picture.

    Args:
        path: A dataset; a log or table that holds references; a log of plain images, which is not converted; a video;
            or a folder of datasets or logs, which the page goes through.
        topics: Globs of topic names.
        host: Where to listen. Others than loopback let anybody on the network in who knows the address.
        port: 0 is a free one.
        allow: As `open_dataset` has it.
        against: The log that the dataset was made from, to show how far decoded frames are off. By default one of its
            name and size, beside the dataset.

    Returns:
        What is to be closed; `Viewer.url` is the page.

    Raises:
        MediarefError: It can't be opened, or no topic matches.
        OutputError: Nobody can listen there: the port is in use, say.

    Examples:
        >>> with mrt.view("drive/") as viewer:
        ...     print(viewer.url[:17])
        http://127.0.0.1:
    """
    among = recordings(Path(path))
    original = None if against is None else Path(against)

    def opened(recording: int, number: int) -> Session:
        source = Source(among[recording], topics=topics, allow=allow, against=original, among=among)
        return Session(source, number)

    try:
        return Viewer(Server(opened, len(among), host, port))
    except MediarefError:
        raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"can't serve on {host} port {port}: {reason}; try another --port, or 0 for a free one"
        ) from error
