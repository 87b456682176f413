"""What the channels of a dataset's log were before their images became records."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mediaref_tools.dataset.manifest import Manifest, SourceChannel, TopicEntry
from mediaref_tools.errors import DatasetError
from mediaref_tools.log import NOTE, Channel

__all__ = ["originals"]


def originals(manifest: Manifest, channels: Sequence[Channel]) -> Mapping[str, Mapping[int, Channel]]:
    """The channels of records as they were: by topic, by the id that they have now, which is theirs here too.

    Args:
        manifest: Of the dataset.
        channels: Of its log.

    Raises:
        DatasetError: The log has not the channels that the manifest speaks of.
    """
    there: dict[str, list[Channel]] = {}
    for channel in channels:
        there.setdefault(channel.topic, []).append(channel)
    return {entry.topic: _of_topic(entry, there.get(entry.topic, [])) for entry in manifest.topics}


def _of_topic(entry: TopicEntry, there: Sequence[Channel]) -> dict[int, Channel]:
    if not entry.channels:  # of format 1 or 2: all that is known is the first channel's type
        records = [channel for channel in there if channel.role == "record"] or there
        return {
            channel.id: Channel(channel.id, entry.topic, entry.type, channel.encoding, attributes=_kept(channel))
            for channel in records
        }
    if len(there) != len(entry.channels):
        raise DatasetError(
            f"{entry.topic} had {len(entry.channels)} channels and has {len(there)} in the dataset's log, so nobody "
            "can tell which is which: its images can't be restored"
        )
    return {
        channel.id: _channel(said, channel) for said, channel in zip(entry.channels, there, strict=True) if said.images
    }


def _channel(said: SourceChannel, now: Channel) -> Channel:
    try:
        definition = base64.b64decode(said.definition, validate=True)
    except binascii.Error as error:
        raise DatasetError(f"the manifest's definition of {said.type} is no base64: {error}") from error
    attributes = _kept(now) | said.attributes
    return replace(
        now, type=said.type, encoding=said.encoding, definition=definition, attributes=attributes, role="image"
    )


def _kept(channel: Channel) -> dict[str, str]:
    return {key: value for key, value in channel.attributes.items() if key != NOTE}
