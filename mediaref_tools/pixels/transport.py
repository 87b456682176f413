"""What ROS's image transports say beside the picture: whose channels are swapped, and raw images compressed whole."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import zstandard

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.limits import MAX_PIXELS, MAX_STILL_BYTES

__all__ = ["channels_are_swapped", "is_zstd", "pack_zstd", "peek_zstd", "unpack_zstd"]

# What sensor_msgs' isColor names, in every release up to ROS 2's; others never have their channels touched.
_COLOURS = frozenset(f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16))

_ZSTD_HEADER = struct.Struct("<IIBII")  # height, width, is_bigendian, step, length of the encoding
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LONGEST_ENCODING = 256
_SLACK = 4096  # bytes after the rows: librealsense writes 4


def channels_are_swapped(image_format: str) -> bool:
    """Whether a file in a `CompressedImage` has red and blue the wrong way round, by what its format says.

    Source: compressed_publisher.cpp and compressed_subscriber.cpp of compressed_image_transport. A format reads
    "ORIGINAL; jpeg compressed TARGET". The publisher turns a colour picture into TARGET and hands it to OpenCV, which
    takes any three channels for BGR. Where TARGET is bgr8, bgr16, bgra8 or bgra16 (every release since 2012 writes one
    of these), the file is an ordinary one. The first releases turned it into RGB and wrote "rgb8; jpeg compressed",
    without a TARGET: in those files what a decoder calls red is blue. The subscriber undoes that wherever ORIGINAL is
    colour and "compressed bgr" does not follow, for PNG and TIFF as for JPEG, and for nothing else: not where there is
    no ";" ("jpeg", "png"), and not for gray, mosaics and yuv. Both texts are compared as they stand, case included.

    One subscriber disagrees: that of ROS 1 Noetic decodes 8-bit JPEG with TurboJPEG straight into ORIGINAL and never
    looks at TARGET. So a driver that writes an ordinary JPEG and says "bgr8; jpeg compressed" looks right there, and
    has blue faces everywhere else.
    """
    original, semicolon, rest = image_format.partition(";")
    return bool(semicolon) and original in _COLOURS and "compressed bgr" not in rest


def is_zstd(image: ImageValue) -> bool:
    """Whether an image is a message of zstd_image_transport."""
    return image.kind == "file" and image.encoding.strip().lower() == "zstd"


def peek_zstd(image: ImageValue) -> ImageValue:
    """What `unpack_zstd` would give, as far as the payload's header tells: without its data.

    Raises:
        ImageError: The header is cut.
    """
    data = memoryview(image.data)
    if len(data) < _ZSTD_HEADER.size:
        raise ImageError(f"zstd image of {len(data)} bytes: its header alone has {_ZSTD_HEADER.size}")
    height, width, is_bigendian, step, length = _ZSTD_HEADER.unpack_from(data)
    encoding = bytes(data[_ZSTD_HEADER.size :][: min(length, _LONGEST_ENCODING)]).decode(errors="replace")
    return replace(
        image,
        data=b"",
        encoding=encoding,
        kind="raw",
        height=height,
        width=width,
        step=step,
        is_bigendian=bool(is_bigendian),
    )


def unpack_zstd(image: ImageValue) -> ImageValue:
    """The raw image in a message of zstd_image_transport, `CompressedImage.format` "zstd".

    Source: zstd_publisher.cpp and zlib_cpp.cpp. The payload is `<u32 height><u32 width><u8 is_bigendian><u32 step>
    <u32 length>`, as many bytes of encoding, and `Image.data`, which most releases compress with gzip in spite of the
    name, the newest with zstd: its first bytes tell.

    Returns:
        The image as its publisher had it, with the stamp, frame and type of the message.

    Raises:
        ImageError: The format is another; the payload is cut or damaged, holds less than `step` x `height`, or far
            more than that.
    """
    if image.encoding.strip().lower() != "zstd":
        raise ImageError(f"format {image.encoding!r} is not that of the zstd transport: expected 'zstd'")
    data = memoryview(image.data)
    if len(data) < _ZSTD_HEADER.size:
        raise ImageError(f"zstd image of {len(data)} bytes: its header alone has {_ZSTD_HEADER.size}")
    height, width, is_bigendian, step, length = _ZSTD_HEADER.unpack_from(data)
    if length > _LONGEST_ENCODING:
        raise ImageError(f"zstd image has an encoding of {length} bytes: it is damaged")
    if not 0 < height * width <= MAX_PIXELS or not 0 < step * height <= MAX_STILL_BYTES:
        raise ImageError(
            f"zstd image of {width}x{height} pixels, step {step}: between 1 and {MAX_PIXELS} pixels, and at most "
            f"{MAX_STILL_BYTES} bytes are handled"
        )
    try:
        encoding = bytes(data[_ZSTD_HEADER.size :][:length]).decode()
    except UnicodeDecodeError as error:
        raise ImageError(f"zstd image has an encoding that is no text: {error}") from error
    # The planes of nv12, nv21, nv24 and i420 that follow the first have up to twice its size.
    raw = _expanded(data[_ZSTD_HEADER.size + length :], step * height + 2 * width * height + _SLACK)
    if len(raw) < step * height:
        raise ImageError(f"zstd image holds {len(raw)} bytes, less than step {step} x height {height}")
    return replace(
        image,
        data=raw,
        encoding=encoding,
        kind="raw",
        height=height,
        width=width,
        step=step,
        is_bigendian=bool(is_bigendian),
    )


def pack_zstd(raw: ImageValue) -> bytes:
    """The payload of a message of zstd_image_transport: of the same picture, compressed anew, with gzip as most are."""
    encoding = raw.encoding.encode()
    head = _ZSTD_HEADER.pack(raw.height, raw.width, raw.is_bigendian, raw.step, len(encoding))
    deflater = zlib.compressobj(level=6, wbits=zlib.MAX_WBITS | 16)
    return b"".join((head, encoding, deflater.compress(raw.data), deflater.flush()))


def _expanded(data: memoryview, limit: int) -> bytes:
    """What was compressed, of at most `limit` bytes."""
    too_long = f"zstd image expands to more than the {limit} bytes that its size allows: it is damaged"
    try:
        if data[:4] == _ZSTD_MAGIC:
            said = zstandard.get_frame_parameters(data).content_size
            if said not in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR) and said > limit:
                raise ImageError(too_long)
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit)
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, told by its header
        raw = inflater.decompress(data, limit + 1)
    except (zstandard.ZstdError, zlib.error) as error:
        raise ImageError(f"zstd image of {len(data)} compressed bytes can't be expanded: {error}") from error
    if len(raw) > limit:
        raise ImageError(too_long)
    if not inflater.eof:
        raise ImageError(f"zstd image of {len(data)} compressed bytes is cut")
    return raw
