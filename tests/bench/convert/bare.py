"""Decoding and encoding alone, with our settings: what a conversion can't be faster than. No container, no records."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mediaref_tools import Settings
from mediaref_tools.conversion.coding import coding
from mediaref_tools.image import ImageValue
from mediaref_tools.lanes import cores, share
from mediaref_tools.pixels.picture import Picture, PixelDecoder
from mediaref_tools.segments.segment import SegmentWriter
from tests.bench.convert.logs import sources


def encode(topic: str, images: Sequence[ImageValue], settings: Settings, threads: int, out: Path) -> None:
    """One topic into one file."""
    how = coding(settings, topic, threads)
    decoder = PixelDecoder(how.policy)
    writer: SegmentWriter | None = None
    for number, image in enumerate(images):
        taken = decoder.take(image)
        assert isinstance(taken, Picture)
        if writer is None:
            form = how.form(taken)
            writer = SegmentWriter(out / f"{topic.strip('/').replace('/', '-')}.mp4", how.encoding(form), form.shape)
        writer.add(taken.frame, number * 33_333)
    if writer is not None:
        writer.close()


def main() -> None:
    """Log, output, settings as JSON. Reading the log is part of it."""
    log, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), Settings.model_validate_json(sys.argv[3])
    topics: dict[str, list[ImageValue]] = defaultdict(list)
    for topic, _, image in sources(log):
        topics[topic].append(image)
    out.mkdir(parents=True)
    threads = share(cores(), len(topics))
    with ThreadPoolExecutor(cores()) as pool:
        work = [pool.submit(encode, topic, images, settings, threads, out) for topic, images in topics.items()]
        for each in work:
            each.result()


if __name__ == "__main__":
    main()
