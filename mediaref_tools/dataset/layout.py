"""Names inside a dataset folder."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["FRAMES", "MANIFEST", "MEDIA", "segment_uri", "topic_folder"]

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
