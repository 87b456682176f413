"""Names inside a dataset folder."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path, PurePosixPath

from mediaref_tools.errors import DatasetError

__all__ = ["FRAMES", "MANIFEST", "MEDIA", "inside", "segment_uri", "topic_folder"]

MANIFEST = "manifest.json"
FRAMES = "frames.parquet"
MEDIA = "media"

_LONGEST, _HEAD = 200, 160
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")


def topic_folder(topic: str) -> str:
    """A folder name for a topic: injective, and made of characters that mean themselves in paths and URIs alike.

    `/camera/image_raw` is `camera-image_raw`: the leading slash is dropped, the others become `-`, and every byte
    of UTF-8 outside of `[A-Za-z0-9_.]` becomes `~XX`. A topic without a leading slash begins with `~~`; the topic
    `/` is `~`; a leading dot, which would hide the folder, becomes `~2E`, and a leading `-` `~2F`. A name of more than
    200 characters, which file systems may not take, ends with a hash instead.
    """
    if topic == "/":
        return "~"
    prefix, rest = ("", topic[1:]) if topic.startswith("/") else ("~~", topic)
    parts = [chr(byte) if byte in _PLAIN else "-" if byte == 0x2F else f"~{byte:02X}" for byte in _utf8(rest)]
    if not prefix and parts and parts[0] in (".", "-"):
        parts[0] = "~2E" if parts[0] == "." else "~2F"
    name = prefix + "".join(parts)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_HEAD]}~~{blake2b(_utf8(topic), digest_size=16).hexdigest()}"


def _utf8(text: str) -> bytes:
    # Containers hold names that are not UTF-8 as surrogates; they must stay apart from each other too.
    return text.encode("utf-8", "surrogateescape")


def segment_uri(topic: str, number: int) -> str:
    """The uri of a topic's segment: relative to the dataset folder."""
    return f"{MEDIA}/{topic_folder(topic)}/{number:06d}.mp4"


def inside(dataset: Path, uri: str) -> Path:
    """The file that a record's relative uri names, which must lie in the dataset's own folder.

    Raises:
        DatasetError: It leads out of it: absolute, with a scheme, by `..`, or through a symbolic link.
    """
    path = PurePosixPath(uri)
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\\" in uri or "\0" in uri:
        raise DatasetError(
            f"uri {uri[:200]!r} leads out of the dataset: only paths inside of it are followed: {dataset}"
        )
    file = dataset.joinpath(*path.parts)
    try:
        inner = file.resolve().is_relative_to(dataset.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that no file can have
        raise DatasetError(f"uri {uri[:200]!r} names no file: {error}: {dataset}") from error
    if not inner:
        raise DatasetError(f"uri {uri[:200]!r} leads out of the dataset through a link: {dataset}")
    return file
