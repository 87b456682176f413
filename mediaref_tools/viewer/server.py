"""The HTTP server behind a page: on loopback, under a path that nobody can guess, and nothing but what it names."""

from __future__ import annotations

import json
import re
import secrets
import socket
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from mediaref_tools.errors import FrameError, MediarefError, TopicError
from mediaref_tools.viewer.colours import LARGEST, Palette
from mediaref_tools.viewer.pictures import Side, Wanted
from mediaref_tools.viewer.session import Session

__all__ = ["Server"]

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address is the key
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FRAME: Final = re.compile(r"(frame|run|ref|value|range|png)/(\d{1,9})/(\d{1,12})")
_LONGEST_RUN: Final = 16
_OPEN: Final = 4
_LENGTH: Final = struct.Struct("<I")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^][:/@]+)(?::\d{1,5})?")
_COLUMN: Final = re.compile(r"(times|marks|psnr)/(\d{1,9})")
_KEPT: Final = "private, max-age=3600, immutable"  # a path names a session and a frame: it never means another one


class _Answer(NamedTuple):
    body: bytes
    type: str
    headers: Mapping[str, str] = {}
    status: HTTPStatus = HTTPStatus.OK


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> _Answer:
    return _Answer(json.dumps(value, allow_nan=False).encode(), "application/json", {}, status)


def _error(status: HTTPStatus, text: str) -> _Answer:
    return _json({"error": text}, status)


class Server(ThreadingHTTPServer):
    """Serves sessions to any number of pages at once. `url` is where; `close` ends it.

    Args:
        opener: Opens a recording as the session of a number; called anew when it was replaced and a page asks again.
        recordings: How many there are.
        host, port: Where to listen; port 0 is a free one.

    Raises:
        OSError: It can't listen there.
        MediarefError: What is to be played can't be opened.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, opener: Callable[[int, int], Session], recordings: int, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._opener, self._lock = opener, threading.Lock()
        self._recordings = recordings
        self._sessions: OrderedDict[int, Session] = OrderedDict({0: opener(0, 0)})
        self._numbers = {0: 0}  # the last session of each recording
        self._opened = 1
        self.token = secrets.token_urlsafe(16)
        self.page = _page()
        self._connections: set[socket.socket] = set()
        try:
            super().__init__((host, port), _Handler)
        except BaseException:
            self._sessions[0].close()
            raise
        self._hosts = {"localhost", host.lower()}
        # Names of this machine, by which others reach it, can't all be known; the path is still a secret.
        self._any_host = not _is_loopback(host)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="viewer", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page."""
        host = str(self.server_address[0])
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}/{self.token}/"

    def close(self) -> None:
        """Stop listening and close what is open. Safe to call again."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in tuple(self._connections):  # a page's next question would be answered
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for session in self._sessions.values():
                session.close()

    def session(self, recording: int = 0) -> Session:
        """A recording, opened if it is not, and anew if it was replaced. A few stay open.

        Raises:
            TopicError: There is none.
            MediarefError: It can't be opened.
        """
        if not 0 <= recording < self._recordings:
            raise TopicError(f"no recording {recording}: there are {self._recordings}")
        with self._lock:
            session = self._sessions.get(self._numbers.get(recording, -1))
            if session is None or session.is_replaced:
                session = self._opener(recording, self._opened)
                self._numbers[recording] = self._opened
                self._sessions[self._opened] = session
                self._opened += 1
            self._sessions.move_to_end(session.number)
            while len(self._sessions) > _OPEN:
                self._sessions.popitem(last=False)[1].close()
            return session

    def current(self, number: int) -> Session | None:
        """The session of a number, if it is open and still what it was."""
        session = self._sessions.get(number)
        return None if session is None or session.is_replaced else session

    def admits(self, host: str) -> bool:
        """Whether a request's Host is a name of ours: else another site's name was made to lead here."""
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        return self._any_host or name in self._hosts or _is_loopback(name)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection: browsers keep theirs open."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A page that went away is no error; what else fails is answered."""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _page() -> dict[str, _Answer]:
    """The files of the page by path. Nothing else is ever read from a path that somebody asks for."""
    found = {}
    for file in files(__package__).joinpath("page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            kind = f"{_TYPES[suffix]}; charset=utf-8"
            found[file.name] = _Answer(file.read_bytes(), kind, {"Cache-Control": "no-store"})
    return found | {"": found["index.html"]}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 300  # of a connection on which nothing is asked

    def do_GET(self) -> None:
        """Answer, whatever was asked."""
        answer = self._answer()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in (_HEADERS | {"Cache-Control": "no-store"} | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815 - http.server's own names

    def version_string(self) -> str:
        """Not which Python this is."""
        return "mediaref"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: a library is silent."""

    def _answer(self) -> _Answer:
        server = cast("Server", self.server)
        if not server.admits(self.headers.get("Host", "")):
            return _error(HTTPStatus.FORBIDDEN, "this host name is not one of this viewer")
        asked = urlsplit(self.path)
        token, _, path = asked.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), server.token.encode()) or "/" not in asked.path[1:]:
            return _error(HTTPStatus.NOT_FOUND, "nothing is here: the address ends with the key that was printed")
        if path in server.page:
            return server.page[path]
        try:
            return _api(server, path, {name: values[0] for name, values in parse_qs(asked.query).items()})
        except (TopicError, KeyError, ValueError) as error:
            if isinstance(error, MediarefError) and not isinstance(error, TopicError):
                return _error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return _error(HTTPStatus.NOT_FOUND, str(error))
        except (MediarefError, OSError) as error:
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except Exception as error:  # a page should say so, rather than wait
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, f"a bug of this viewer: {type(error).__name__}: {error}")


def _api(server: Server, path: str, query: Mapping[str, str]) -> _Answer:
    if path == "api/session":
        return _json(server.session(int(query.get("recording", "0"))).summary())
    head, _, rest = path.removeprefix("api/").partition("/")
    if not path.startswith("api/") or not head.isdecimal() or not rest:
        raise KeyError(f"nothing is at {path[:80]!r}")
    session = server.current(int(head))
    if session is None:
        return _error(HTTPStatus.GONE, "what is played was replaced or removed while it was open")
    if match := _COLUMN.fullmatch(rest):
        column = {"times": session.times, "marks": session.marks, "psnr": session.psnr}[match[1]]
        return _Answer(column(int(match[2])), "application/octet-stream", {"Cache-Control": _KEPT})
    if match := _FRAME.fullmatch(rest):
        try:
            return _frame(session, match[1], int(match[2]), int(match[3]), query)
        except TopicError:
            raise
        except MediarefError as error:
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, session.told(error))
    raise KeyError(f"nothing is at {path[:80]!r}")


def _frame(session: Session, what: str, number: int, index: int, query: Mapping[str, str]) -> _Answer:
    pictures = session.topic(number)
    if not 0 <= index < len(pictures.topic):
        raise TopicError(f"no frame {index} on {pictures.topic.name}: it has {len(pictures.topic)}")
    if what == "ref":
        return _json(session.reference(number, index))
    if what == "range":
        return _json({"range": pictures.usual_range(index)})
    if what == "value":
        return _json({"value": pictures.value(index, int(query["x"]), int(query["y"]))})
    if what == "png":
        name = f"{re.sub(r'[^A-Za-z0-9_.]+', '-', pictures.topic.name).strip('-')}-{index:06d}.png"
        return _Answer(pictures.png(index), "image/png", {"Content-Disposition": f'attachment; filename="{name}"'})
    wanted = Wanted(
        width=min(max(int(query.get("w", "640")), 16), 16384),
        low=int(query.get("lo", "0")),
        high=int(query.get("hi", str(LARGEST))),
        palette=cast("Palette", query.get("palette", "turbo")),
        side=cast("Side", query.get("side", "decoded")),
    )
    if wanted.side not in ("decoded", "source", "difference", "all"):
        raise FrameError(f"no side {wanted.side[:80]!r} of a frame: expected decoded, source, difference or all")
    if what == "run":
        count, stride = int(query.get("n", "1")), int(query.get("stride", "1"))
        if not (1 <= count <= _LONGEST_RUN and stride >= 1):
            raise ValueError(f"a run of {count} frames, each {stride}th: expected 1 to {_LONGEST_RUN}, and at least 1")
        run = range(index, len(pictures.topic), stride)[:count]
        parts = [part for each in run for part in _part(session, number, each, wanted)]
        return _Answer(b"".join(parts), "application/octet-stream", {"Cache-Control": _KEPT})
    jpeg = pictures.jpeg(index, wanted)
    label = json.dumps(session.label(number, index), separators=(",", ":"))
    return _Answer(jpeg, "image/jpeg", {"Cache-Control": _KEPT, "X-Mediaref-Frame": label})


def _part(session: Session, number: int, index: int, wanted: Wanted) -> Iterator[bytes]:
    """A frame of a run: its label, then its picture, each after its length; {"index", "error"} and none if it fails."""
    label: dict[str, Any]
    try:
        jpeg, label = session.topic(number).jpeg(index, wanted), session.label(number, index)
    except MediarefError as error:
        jpeg, label = b"", {"index": index, "error": session.told(error)}
    for part in (json.dumps(label, separators=(",", ":")).encode(), jpeg):
        yield _LENGTH.pack(len(part))
        yield part
