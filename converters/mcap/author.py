"""A new MCAP file of another container's messages: as they are, with their definitions as schemas."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mcap.writer import Writer

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import NOTE, Channel, Loss, Message

from ..messages.imagemsg import original_type
from ..rosbag2.zstd import inflated_message
from ..storage.omissions import Omissions

__all__ = ["McapAuthor"]

_LIBRARY = "mediaref-tools"
_RENAMED = {"type_description_hash": "topic_type_hash"}
_SCHEMA = ("definition_encoding", "mcap:schema_encoding")
_PROFILES = {frozenset({"ros1"}): "ros1", frozenset({"cdr"}): "ros2"}


class McapAuthor:
    """Writes a file; see `mediaref_tools.restorable.Author`.

    Raises:
        LogError: A channel holds rows of a file, which are no messages.
        OutputError: `out` is taken, or can't be written.
    """

    def __init__(self, out: Path, channels: Sequence[Channel]) -> None:
        self._out = out
        self._omissions = Omissions()
        rows = [channel.topic for channel in channels if channel.encoding == "hdf5"]
        if rows:
            raise LogError(f"{rows[0]} (and {len(rows) - 1} more) holds rows of an HDF5 file, which are no messages")
        try:
            self._file = out.open("xb")
        except OSError as error:
            raise OutputError(f"log can't be written ({error.strerror}): expected a new path: {out}") from error
        self._writer = Writer(self._file)
        self._writer.start(_PROFILES.get(frozenset(channel.encoding for channel in channels), ""), _LIBRARY)
        schemas: dict[object, int] = {}
        self._ids: dict[int, int] = {}
        for channel in channels:
            said = channel.attributes
            kind = original_type(channel, schema_encoding=next((said[key] for key in _SCHEMA if key in said), ""))
            key = (kind.name, kind.schema_encoding, kind.definition)
            if key not in schemas:
                schemas[key] = self._writer.register_schema(*key)
            if not kind.definition:
                self._omissions.note("definitions", f"channels whose type no definition is known of: {kind.name}")
            metadata = {
                _RENAMED.get(key, key): value for key, value in said.items() if key != NOTE and key not in _SCHEMA
            }
            number = self._writer.register_channel(channel.topic, channel.encoding, schemas[key], metadata)
            self._ids[channel.id] = number

    @property
    def losses(self) -> Sequence[Loss]:
        """What an MCAP file has no place for."""
        return self._omissions.losses

    def add(self, message: Message) -> bytes | memoryview | None:
        """Write a message.

        Raises:
            OutputError: It can't be written.
        """
        publish_ns = message.log_time_ns if message.publish_time_ns is None else message.publish_time_ns
        data = bytes(inflated_message(message).data)
        try:
            number = self._ids[message.channel.id]
            self._writer.add_message(number, message.log_time_ns, data, publish_ns, message.sequence or 0)
        except OSError as error:
            raise OutputError(f"log can't be written ({error.strerror}): is the disk full? {self._out}") from error
        return data

    def commit(self) -> None:
        """Write the index, sync and close.

        Raises:
            OutputError: It can't be written.
        """
        try:
            self._writer.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise OutputError(f"log can't be written ({error.strerror}): is the disk full? {self._out}") from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            self._file.close()
        except OSError:  # its last bytes can't be written: nobody wants them
            return
