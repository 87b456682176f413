"""A message type, as a container declares it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RecordType"]


class RecordType(NamedTuple):
    """What a channel of records, or of images that they stood for, says of itself.

    Attributes:
        name: "pkg/Type" in ROS 1, "pkg/msg/Type" in ROS 2, "mediaref.Type" in JSON.
        encoding: How its messages are serialised: "ros1", "cdr" or "json".
        schema_encoding: What the definition is written in: "ros1msg", "ros2msg" or "jsonschema".
        definition: The message definition or schema.
        md5sum, rihs01: The definition's hash in ROS 1 and in ROS 2; "" where there is none.
    """

    name: str
    encoding: str
    schema_encoding: str
    definition: bytes
    md5sum: str = ""
    rihs01: str = ""
