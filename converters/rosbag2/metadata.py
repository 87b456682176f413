"""A rosbag2 log's `metadata.yaml`, and the same YAML where a storage file carries a copy of it.

Read with a composer alone: nothing is constructed, so neither tags nor merge keys nor aliases can blow up.
Written by replacing the text of single scalars: everything else stays as it stands, character by character.
Source: ros2/rosbag2 `rosbag2_storage/yaml.hpp` and the version history in rosbags' `rosbag2/reader.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mediaref_tools.errors import LogError

from ..messages.imagemsg import role
from ..messages.recordtype import RecordType

__all__ = ["Metadata", "parse", "retyped"]

_LIMIT = 16 << 20
"""Characters. 10 000 splits take 2.5 million; the composer reads about 200 000 a second."""


class Metadata(NamedTuple):
    """What `metadata.yaml` says of a log; what it does not say is empty or None.

    Attributes:
        storage: "sqlite3", "mcap", or another plugin's name.
        files: Storage files in recording order, as spelled: `name` or, before version 4, `folder/name`.
        counts: Messages by file, as spelled in `files` (version 5 and later).
        messages: Messages in the whole log.
        topics: Messages by topic.
        compression_mode: "" (none), "file" or "message".
        compression_format: "zstd" …
    """

    storage: str
    files: tuple[str, ...]
    counts: Mapping[str, int]
    messages: int | None
    topics: Mapping[str, int]
    compression_mode: str
    compression_format: str


def parse(text: str) -> Metadata:
    """Read a whole `metadata.yaml`, or the bare mapping that storage files carry.

    Raises:
        LogError: The text is not YAML, or no mapping of rosbag2's.
    """
    info = _information(text)
    counts: dict[str, int] = {}
    for entry in _items(_get(info, "files")):
        count = _number(_get(entry, "message_count"))
        if count is not None:
            counts[_text(_get(entry, "path"))] = count
    topics: dict[str, int] = {}
    for entry in _items(_get(info, "topics_with_message_count")):
        name = _text(_get(_get(entry, "topic_metadata"), "name"))
        topics[name] = topics.get(name, 0) + (_number(_get(entry, "message_count")) or 0)
    mode = _text(_get(info, "compression_mode")).lower()
    return Metadata(
        storage=_text(_get(info, "storage_identifier")),
        files=tuple(_text(entry) for entry in _items(_get(info, "relative_file_paths"))),
        counts=counts,
        messages=_number(_get(info, "message_count")),
        topics=topics,
        compression_mode="" if mode == "none" else mode,
        compression_format=_text(_get(info, "compression_format")),
    )


def _is_image(type_name: str, encoding: str) -> bool:
    return role(type_name, encoding) == "image"


def retyped(text: str, types: Mapping[str, RecordType], is_replaced: Callable[[str, str], bool] | None = None) -> str:
    """The same YAML in which the topics that `types` names have another type, encoding and type hash.

    Counts, times, files and QoS hold as they are, because each message is replaced by one message.

    Args:
        text: A whole `metadata.yaml`, or the bare mapping that storage files carry.
        types: The new type by topic name.
        is_replaced: Says of a type and encoding whether such a topic's messages are replaced; None: where they are
            images.

    Raises:
        LogError: The text can't be read as YAML, or a type in it is written in a way that can't be replaced.
    """
    if not types:
        return text
    spans: dict[tuple[int, int], str] = {}
    for entry in _items(_get(_information(text), "topics_with_message_count")):
        topic = _get(entry, "topic_metadata")
        record_type = types.get(_text(_get(topic, "name")))
        encoding = _text(_get(topic, "serialization_format")) or "cdr"
        if record_type is None or not (is_replaced or _is_image)(_text(_get(topic, "type")), encoding):
            continue
        changes = {
            "type": record_type.name,
            "serialization_format": record_type.encoding,
            "type_description_hash": record_type.rihs01,
        }
        for key, value in changes.items():
            node = _get(topic, key)
            # a key without a value has no place of its own in the text; without a hash, nothing is said that is wrong
            if node is not None and node.start_mark.index < node.end_mark.index:
                span, quote = _span(text, node)
                quote = quote if value else '"'  # nothing at all would be a null
                spans[span] = f"{quote}{value}{quote}"
    pieces, done = [], 0
    for (start, stop), value in sorted(spans.items()):
        pieces += [text[done:start], value]
        done = stop
    return "".join([*pieces, text[done:]])


def _information(text: str) -> MappingNode:
    if len(text) > _LIMIT:
        raise LogError(f"rosbag2 metadata has {len(text)} characters, expected at most {_LIMIT}")
    try:
        # pure: the C parser keeps no promise about nesting, and only some environments have it
        root = YAML(typ="safe", pure=True).compose(text)
    except Exception as error:  # ruamel raises YAMLError, RecursionError, ValueError … on broken text
        raise LogError(f"rosbag2 metadata is not YAML: {' '.join(str(error).split())[:200]}") from error
    inner = _get(root, "rosbag2_bagfile_information")
    info = root if inner is None else inner
    if not isinstance(info, MappingNode):
        raise LogError("rosbag2 metadata has no mapping 'rosbag2_bagfile_information', and is no such mapping itself")
    return info


def _get(node: Node | None, key: str) -> Node | None:
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if isinstance(name, ScalarNode) and name.value == key:
                found: Node = value
                return found
    return None


def _items(node: Node | None) -> Iterator[Node]:
    yield from node.value if isinstance(node, SequenceNode) else ()


def _text(node: Node | None) -> str:
    if not isinstance(node, ScalarNode) or node.tag == "tag:yaml.org,2002:null":
        return ""
    return str(node.value)


def _number(node: Node | None) -> int | None:
    text = _text(node)
    # isdecimal and the length keep int() from exotic digits and from texts of a million of them
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _span(text: str, node: Node) -> tuple[tuple[int, int], str]:
    """Where a scalar stands, told by the composer's marks, and in which quotes: checked, for it gets overwritten."""
    start, stop = node.start_mark.index, node.end_mark.index
    written = text[start:stop]
    if isinstance(node, ScalarNode) and not node.anchor:
        if node.style is None and written.split() == node.value.split():
            return (start, stop), ""
        if node.style in ("'", '"') and len(written) > 1 and written[0] == written[-1] == node.style:
            return (start, stop), node.style
    raise LogError(
        f"rosbag2 metadata has the type {written[:80]!r} in line {node.start_mark.line + 1}, which can't be replaced: "
        f"expected a plain or quoted word; write it as one"
    )
