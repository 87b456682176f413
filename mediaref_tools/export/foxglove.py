"""Foxglove's messages of pictures, as protobuf: schemas and payloads."""

from __future__ import annotations

from typing import Final

__all__ = ["IMAGE", "SCHEMAS", "VIDEO", "image_message", "video_message"]

VIDEO: Final = "foxglove.CompressedVideo"
IMAGE: Final = "foxglove.CompressedImage"

# Of google/protobuf/descriptor.proto.
_INT64, _INT32, _STRING, _MESSAGE, _BYTES = 3, 5, 9, 11, 12
_TIMESTAMP: Final = "google/protobuf/timestamp.proto"


def video_message(stamp_ns: int, frame_id: str, data: bytes, form: str) -> bytes:
    """`form`: "h264", "h265", "vp9" or "av1"; `data` is one access unit."""
    return _stamp(stamp_ns) + _bytes(2, frame_id.encode()) + _bytes(3, data) + _bytes(4, form.encode())


def image_message(stamp_ns: int, frame_id: str, data: bytes, form: str) -> bytes:
    """`form`: "jpeg", "png", "webp" or "avif"; `data` is the file."""
    return _stamp(stamp_ns) + _bytes(2, data) + _bytes(3, form.encode()) + _bytes(4, frame_id.encode())


def _stamp(stamp_ns: int) -> bytes:
    seconds, nanos = divmod(stamp_ns, 1_000_000_000)
    return _bytes(1, _number(1, seconds) + _number(2, nanos))


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _field(name: str, number: int, kind: int) -> bytes:
    told = _bytes(1, name.encode()) + _number(3, number) + _number(4, 1) + _number(5, kind)
    return _bytes(2, told + _bytes(6, b".google.protobuf.Timestamp") if kind == _MESSAGE else told)


def _file(path: str, package: str, dependency: str, name: str, fields: bytes) -> bytes:
    told = _bytes(1, path.encode()) + _bytes(2, package.encode())
    told += _bytes(3, dependency.encode()) if dependency else b""
    return _bytes(1, told + _bytes(4, _bytes(1, name.encode()) + fields) + _bytes(12, b"proto3"))


def _schema(name: str, *fields: tuple[str, int, int]) -> bytes:
    """A FileDescriptorSet."""
    stamp = _field("seconds", 1, _INT64) + _field("nanos", 2, _INT32)
    return _file(_TIMESTAMP, "google.protobuf", "", "Timestamp", stamp) + _file(
        f"foxglove/{name}.proto", "foxglove", _TIMESTAMP, name, b"".join(_field(*field) for field in fields)
    )


SCHEMAS: Final = {
    VIDEO: _schema(
        "CompressedVideo",
        ("timestamp", 1, _MESSAGE),
        ("frame_id", 2, _STRING),
        ("data", 3, _BYTES),
        ("format", 4, _STRING),
    ),
    IMAGE: _schema(
        "CompressedImage",
        ("timestamp", 1, _MESSAGE),
        ("data", 2, _BYTES),
        ("format", 3, _STRING),
        ("frame_id", 4, _STRING),
    ),
}
