"""Servers on the loopback that count what is asked of them, and stop with their `with`.

`FileServer` is a plain HTTP server of files in memory, which can be told to behave badly; `S3Server` is moto's S3,
behind a counter.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["FileServer", "Request", "S3Server", "s3_server"]

_CHUNK = 2**14


@dataclass
class Request:
    """One request: what was asked for, and the bytes of body that were sent."""

    method: str
    path: str
    range: str | None = None
    status: int = 0
    sent: int = 0


@dataclass
class Traffic:
    """What was asked of a server since `forget`."""

    requests: list[Request] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(request.sent for request in self.requests)

    def forget(self) -> None:
        """Count from zero."""
        self.requests.clear()


class FileServer(Traffic):
    """Serves files from memory over HTTP/1.1, with ranges. Its attributes may be changed while it runs.

    Attributes:
        files: Path to content.
        ranges: False ignores the Range header, as `python -m http.server` does; "refused" also says so.
        status: With which every request for a file is answered; 200 or 206 where it is None.
        redirects: Path to the address that is answered instead, with status 302.
        drop_after: How many bytes of a body are sent before the connection is cut; None for all.
        delay: Seconds before each answer.
        claimed: What HEAD says the length is, in place of the true one.
        chunked: Whether no length is told, and bodies come in chunks.
        failing_after: How many requests are answered before every other one is dropped without an answer.
        posted: What clients sent, by path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self.files = dict(files)
        self.ranges: bool | str = True
        self.status: int | None = None
        self.redirects: dict[str, str] = {}
        self.drop_after: int | None = None
        self.delay = 0.0
        self.claimed: int | None = None
        self.chunked = False
        self.failing_after: int | None = None
        self.posted: dict[str, bytes] = {}
        self.gate: threading.Barrier | None = None
        self.stopping = threading.Event()
        self.headers: list[dict[str, str]] = []
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def together(self, count: int) -> Iterator[None]:
        """Answer nothing until `count` requests wait for it; fail where they don't come within 20 seconds."""
        self.gate = threading.Barrier(count, timeout=20)
        try:
            yield
            assert not self.gate.broken
        finally:
            self.gate = None

    def stop(self) -> None:
        """Stop for good: open connections are cut, and later ones refused. Safe to call again."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._server.shutdown()
            self._server.cut()
            self._server.server_close()  # waits for its threads
            self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    block_on_close = True

    def __init__(self, address: tuple[str, int], owner: FileServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        with self._lock:
            for connection in self._connections:
                _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave early are no news."""


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Be quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        request = Request(self.command, urlsplit(self.path).path)
        self.server.owner.posted[request.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._head(request, 204, None, {})

    def _answer(self) -> None:
        owner = self.server.owner
        path = urlsplit(self.path).path
        request = Request(self.command, path, self.headers.get("Range"))
        owner.requests.append(request)
        owner.headers.append(dict(self.headers))
        if owner.gate is not None:
            with suppress(threading.BrokenBarrierError):
                owner.gate.wait()
        if owner.delay:
            owner.stopping.wait(owner.delay)
        if owner.failing_after is not None and len(owner.requests) > owner.failing_after:
            _cut(self.connection)
            self.close_connection = True
            return
        if path in owner.redirects:
            self._head(request, 302, 0, {"Location": owner.redirects[path]})
            return
        body = owner.files.get(path)
        if owner.status is not None or body is None:
            self._head(request, owner.status or 404, 0, {})
            return
        self._send(request, body)

    def _send(self, request: Request, body: bytes) -> None:
        owner = self.server.owner
        extra = {"Accept-Ranges": "none" if owner.ranges == "refused" else "bytes"} if owner.ranges is not False else {}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "")
        if owner.ranges is True and wanted:
            start, stop = int(wanted[1]), min(int(wanted[2] or len(body)) + 1, len(body))
            if start >= len(body):
                self._head(request, 416, 0, {"Content-Range": f"bytes */{len(body)}"})
                return
            extra["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            body = body[start:stop]
            self._head(request, 206, len(body), extra)
        elif owner.chunked:
            self._head(request, 200, None, {**extra, "Transfer-Encoding": "chunked"})
        else:
            told = owner.claimed if owner.claimed is not None and request.method == "HEAD" else len(body)
            self._head(request, 200, told, extra)
        if request.method != "HEAD":
            self._body(request, body)

    def _head(self, request: Request, status: int, length: int | None, headers: Mapping[str, str]) -> None:
        request.status = status
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, request: Request, body: bytes) -> None:
        owner = self.server.owner
        chunked = owner.chunked and request.status == 200
        for at in range(0, len(body), _CHUNK):
            piece = body[at : at + _CHUNK]
            if owner.drop_after is not None and request.sent + len(piece) > owner.drop_after:
                self.wfile.write(piece[: owner.drop_after - request.sent])
                request.sent = owner.drop_after
                _cut(self.connection)
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            request.sent += len(piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


class S3Server(Traffic):
    """moto's S3 on the loopback; `options` are what s3fs needs to talk to it."""

    def __init__(self) -> None:
        super().__init__()
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base's name
                """Be quiet."""

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._counted, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def options(self) -> dict[str, Any]:
        """For `storage_options`."""
        return {"key": "key-of-tests", "secret": "secret-of-tests", "endpoint_url": self.url}

    def stop(self) -> None:
        """Stop for good. Safe to call again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _counted(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE"))
        self.requests.append(request)

        def start(status: str, *rest: Any) -> Any:
            request.status = int(status.split()[0])
            return start_response(status, *rest)

        body: Iterable[bytes] = self._app(environ, start)
        try:
            for piece in body:
                request.sent += len(piece)
                yield piece
        finally:
            close = getattr(body, "close", None)
            if close:
                close()


@contextmanager
def s3_server(files: Mapping[str, bytes]) -> Iterator[S3Server]:
    """An S3 server with a bucket `bucket` that holds some files."""
    import s3fs

    server = S3Server()
    try:
        filesystem = s3fs.S3FileSystem(**server.options)
        with suppress(FileExistsError):  # moto's are all one in a process
            filesystem.mkdir("bucket")
        for name, content in files.items():
            filesystem.pipe(f"bucket/{name}", content)
        server.forget()
        yield server
    finally:
        server.stop()
