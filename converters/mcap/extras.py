"""What an MCAP file holds beside messages, as hashes: attachments, metadata, records of unknown opcodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from mcap import records
from mcap.opcode import Opcode

from mediaref_tools.errors import LogError

from .index import Index
from .source import Head, parse

__all__ = ["extras"]

_READ_BYTES = 2**20


def extras(index: Index) -> Iterator[tuple[str, bytes]]:
    """Each by a name for people, and a hash of all that it is: an attachment's CRC is no part of that.

    What is damaged is left out, as it is when the log is written anew. Of rosbag2's copies of `metadata.yaml`, which
    names the types of topics, only that they are there.
    """
    for head in index.extras:
        try:
            if head.opcode == Opcode.METADATA:
                record = parse(records.Metadata, index.source.body(head))
                yield f"metadata {record.name!r}", _metadata(record)
            elif head.opcode == Opcode.ATTACHMENT:
                record = parse(records.Attachment, index.source.body(head, most=index.source.size))
                yield f"attachment {record.name!r}", _attachment(record)
            else:
                yield f"record of opcode {head.opcode}", _raw(index, head)
        except LogError:
            continue


def _metadata(record: Any) -> bytes:
    told = record.metadata
    if record.name == "rosbag2" and "serialized_metadata" in told:
        told = told | {"serialized_metadata": ""}
    return _hash(json.dumps([record.name, told], sort_keys=True).encode("utf-8", "surrogateescape"))


def _attachment(record: Any) -> bytes:
    said = json.dumps([record.name, record.media_type, record.log_time, record.create_time])
    return _hash(said.encode("utf-8", "surrogateescape"), b"\0", record.data)


def _raw(index: Index, head: Head) -> bytes:
    digest = blake2b(digest_size=16)
    for start in range(head.offset, head.end, _READ_BYTES):
        digest.update(index.source.read(start, min(_READ_BYTES, head.end - start)))
    return digest.digest()


def _hash(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()
