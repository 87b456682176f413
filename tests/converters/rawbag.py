"""ROS 1 bags made byte by byte: what no writer would write, or none lets one choose."""

from __future__ import annotations

import bz2
import struct
from pathlib import Path

import lz4.frame

STRING = {
    "type": b"std_msgs/String",
    "md5sum": b"992ce8a1687cec8c8bd883ec73ca41d1",
    "message_definition": b"string data\n",
}


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def stamp(time_ns: int) -> bytes:
    return struct.pack("<II", *divmod(time_ns, 10**9))


def head(**fields: bytes) -> bytes:
    return b"".join(u32(len(name) + 1 + len(value)) + name.encode() + b"=" + value for name, value in fields.items())


def record(header: bytes, data: bytes) -> bytes:
    return u32(len(header)) + header + u32(len(data)) + data


def string(text: str) -> bytes:
    """A std_msgs/String."""
    return record(b"", text.encode())[4:]


def connection(conn: int, topic: bytes, /, **fields: bytes) -> bytes:
    """A connection record; a field given as b"-" is left out."""
    said = {"topic": topic, **STRING, **fields}
    data = head(**{name: value for name, value in said.items() if value != b"-"})
    return record(head(op=b"\x07", conn=u32(conn), topic=topic), data)


def message(conn: int, time_ns: int, data: bytes, **fields: bytes) -> bytes:
    return record(head(op=b"\x02", conn=u32(conn), time=stamp(time_ns), **fields), data)


class RawBag:
    """Collects chunks and writes them with an index.

    A chunk is a list of connection records (bytes) and messages `(conn, time_ns, data)`.
    """

    def __init__(self, connections: dict[int, bytes]) -> None:
        self.connections = connections
        self.body = b""
        self.infos = b""
        self.chunks = 0
        self.header: dict[str, bytes] = {}

    def chunk(
        self,
        *items: bytes | tuple[int, int, bytes],
        compression: str = "none",
        size: int | None = None,
        stored: bytes | None = None,
        times_ns: tuple[int, int] | None = None,
        message_fields: dict[str, bytes] | None = None,
        index: bool = True,
    ) -> None:
        """Add a chunk; `size`, `stored` and `times_ns` are what it says instead of the truth."""
        content = b""
        entries: dict[int, list[tuple[int, int]]] = {}
        for item in items:
            if isinstance(item, bytes):
                content += item
            else:
                conn, time_ns, data = item
                entries.setdefault(conn, []).append((time_ns, len(content)))
                content += message(conn, time_ns, data, **(message_fields or {}))
        if compression == "lz4":  # with a checksum, as the ROS tools do
            packed = lz4.frame.compress(content, content_checksum=True)
        else:
            packed = bz2.compress(content) if compression == "bz2" else content
        start = 4117 + len(self.body)
        said = u32(len(content) if size is None else size)
        self.body += record(
            head(op=b"\x05", compression=compression.encode(), size=said), packed if stored is None else stored
        )
        for conn, rows in entries.items() if index else ():
            data = b"".join(stamp(time_ns) + u32(offset) for time_ns, offset in rows)
            self.body += record(head(op=b"\x04", ver=u32(1), conn=u32(conn), count=u32(len(rows))), data)
        all_ns = times_ns or [time_ns for rows in entries.values() for time_ns, _ in rows] or [0]
        said = b"".join(u32(conn) + u32(len(rows)) for conn, rows in entries.items())
        self.infos += record(
            head(
                op=b"\x06",
                ver=u32(1),
                chunk_pos=struct.pack("<Q", start),
                start_time=stamp(min(all_ns)),
                end_time=stamp(max(all_ns)),
                count=u32(len(entries)),
            ),
            said,
        )
        self.chunks += 1

    def file_header(self, index_pos: int) -> bytes:
        fields = {
            "op": b"\x03",
            "index_pos": struct.pack("<Q", index_pos),
            "conn_count": u32(len(self.connections)),
            "chunk_count": u32(self.chunks),
        }
        header = head(**(fields | self.header))
        return record(header, b" " * (4096 - len(header)))

    def write(self, path: Path) -> Path:
        """Write the bag, whole."""
        start = b"#ROSBAG V2.0\n" + self.file_header(4117 + len(self.body))
        path.write_bytes(start + self.body + b"".join(self.connections.values()) + self.infos)
        return path

    def write_open(self, path: Path, tail: bytes = b"") -> Path:
        """Write what a recorder leaves that never came to close the bag."""
        self.chunks, connections = 0, self.connections
        self.connections = {}
        path.write_bytes(b"#ROSBAG V2.0\n" + self.file_header(0) + self.body + tail)
        self.connections = connections
        return path
