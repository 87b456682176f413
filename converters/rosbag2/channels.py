"""The channels of rosbag2's sqlite3 files: a distinct row of `topics`, over all splits."""

from __future__ import annotations

from collections.abc import Sequence

from mediaref_tools.log import Channel, Role

from ..messages import imagemsg
from ..messages.recordtype import RecordType
from ..messages.rosmsg import ROS
from .sqlite3_writer import Split

__all__ = ["channels_of", "original_type"]


def channels_of(splits: Sequence[Split]) -> tuple[tuple[Channel, ...], list[dict[int, Channel]]]:
    """The log's channels, and those of each split by topic id."""
    channels: dict[object, Channel] = {}
    by_split = []
    for split in splits:
        channel_of = {}
        for topic in split.database.topics:
            definition = split.database.definition(topic)
            key = (*topic[1:], definition and definition[:2])
            if key not in channels:
                attributes = {
                    "offered_qos_profiles": topic.offered_qos_profiles,
                    "type_description_hash": topic.type_description_hash,
                    "definition_encoding": definition and definition.encoding,
                }
                channels[key] = Channel(
                    len(channels) + 1,
                    topic.name,
                    topic.type,
                    topic.serialization_format,
                    definition.text if definition else b"",
                    {name: value for name, value in attributes.items() if value is not None},
                    _role(topic.type, topic.serialization_format, definition.text if definition else b""),
                )
            channel_of[topic.id] = channels[key]
        by_split.append(channel_of)
    return tuple(channels.values()), by_split


def original_type(channel: Channel) -> RecordType:
    """What a topic's type was, of the attributes that it has here; without a definition if the log had none."""
    said = channel.attributes
    known = imagemsg.original_type(
        channel,
        schema_encoding=said.get("definition_encoding", ""),
        rihs01=said.get("type_description_hash", ""),
    )
    return known._replace(definition=channel.definition)  # none is added that was not there


def _role(type_name: str, encoding: str, definition: bytes) -> Role:
    role = imagemsg.role(type_name, encoding, definition)
    # A record is written as ROS's own here: nothing else would play a database of rosbag2.
    return "unsupported" if role == "image" and encoding not in ROS else role
