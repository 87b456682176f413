"""Quality of service, as ROS 2's containers write it down, and latching, which ROS 1 had of it."""

from __future__ import annotations

from typing import Final

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2.metadata import parse_qos

from mediaref_tools.log import Channel

__all__ = ["is_latched", "profiles"]

_FOREVER: Final = QosTime(9223372036, 854775807)


def profiles(channel: Channel) -> list[Qos]:
    """A channel's profiles: those that it offered, or what latching was of them."""
    text = channel.attributes.get("offered_qos_profiles", "")
    try:
        found = parse_qos(text) if text.strip() else []
    except Exception:  # YAMLError, KeyError, ValueError …: whatever rosbags makes of odd text
        found = []
    if found or "latching" not in channel.attributes:
        return found
    latched = channel.attributes["latching"] == "1"
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return [
        Qos(
            history=QosHistory.KEEP_LAST,
            depth=1 if latched else 10,
            reliability=QosReliability.RELIABLE,
            durability=durability,
            deadline=_FOREVER,
            lifespan=_FOREVER,
            liveliness=QosLiveliness.AUTOMATIC,
            liveliness_lease_duration=_FOREVER,
            avoid_ros_namespace_conventions=False,
        )
    ]


def is_latched(channel: Channel) -> bool:
    """Whether late subscribers get a channel's last message."""
    return any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles(channel))
