"""Every error this package raises on purpose.

Each one is also the builtin that a caller would guess, so `except ValueError` works where it should::

    MediarefError
    ├── LogError          (ValueError)         a log can't be read as what it says it is
    │   └── LogNotFound   (FileNotFoundError)  nothing there, or nothing in it that a converter claims
    ├── PluginError       (RuntimeError)       a converter plugin is broken, or two claim one name
    ├── TopicError        (KeyError)           no topic of that name, or no topic matches
    ├── ImageError        (ValueError)         one message does not hold an image that can be decoded
    ├── EncodeError       (RuntimeError)       the encoder or muxer did not do what it was told
    ├── OutputError       (OSError)            the output can't be written, or is in the way
    ├── DatasetError      (ValueError)         a dataset folder is not whole or not ours
    │   ├── ProofError    (ValueError)         a reference does not show the frame that it stands for
    │   └── TrustError    (PermissionError)    a record of others points where it was not allowed to
    ├── FrameError        (ValueError)         a time or reference outside of what a stream holds
    ├── RefError          (ValueError)         a reference is malformed, or not for the kind of media that it names
    ├── MediaError        (ValueError)         what a reference names can't be read or decoded
    │   └── MediaNotFound (FileNotFoundError)  there is nothing where it points
    ├── ReportError       (ValueError)         a report of a conversion can't be read
    ├── ExtraError        (ImportError)        an optional package is not installed
    └── LimitError        (ValueError)         an environment variable does not hold the number that it should

Messages say what went wrong, the value, what was expected and what to do next; a path comes last.
"""

from __future__ import annotations

__all__ = [
    "DatasetError",
    "EncodeError",
    "ExtraError",
    "FrameError",
    "ImageError",
    "LimitError",
    "LogError",
    "LogNotFound",
    "MediaError",
    "MediaNotFound",
    "MediarefError",
    "OutputError",
    "PluginError",
    "ProofError",
    "RefError",
    "ReportError",
    "TopicError",
    "TrustError",
    "with_notes",
]


def with_notes(text: str, error: BaseException) -> str:
    """What an error says, and what was noted about it on its way (`add_note`), as one sentence."""
    return "; ".join([text, *getattr(error, "__notes__", [])])


class MediarefError(Exception):
    """Base of all errors of this package."""


class LogError(MediarefError, ValueError):
    """A log can't be read as the container that it claims to be."""


class LogNotFound(LogError, FileNotFoundError):
    """There is no log at a path."""


class PluginError(MediarefError, RuntimeError):
    """A converter plugin fails to load, or two of them claim one name."""


class TopicError(MediarefError, KeyError):
    """No topic has a name, or no topic matches a pattern."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would quote the whole sentence.
        return str(self.args[0]) if self.args else ""


class ImageError(MediarefError, ValueError):
    """One message does not hold an image that can be decoded."""


class EncodeError(MediarefError, RuntimeError):
    """An encoder or muxer failed, or wrote something other than it was told."""


class OutputError(MediarefError, OSError):
    """The output can't be written, or something is in its way."""


class DatasetError(MediarefError, ValueError):
    """A dataset folder is not whole, or not a dataset."""


class ProofError(DatasetError):
    """A reference does not show the frame that it stands for."""


class FrameError(MediarefError, ValueError):
    """A time, an index or a reference lies outside of what a stream holds."""


class RefError(MediarefError, ValueError):
    """A reference is malformed, or its kind (still, frame of a video) is not that of the media it names."""


class TrustError(DatasetError, PermissionError):
    """A record that others wrote points outside of its folder, and the caller did not allow that."""


class MediaError(MediarefError, ValueError):
    """What a reference names can't be read, or holds no picture that can be decoded."""


class MediaNotFound(MediaError, FileNotFoundError):
    """There is nothing where a reference points."""


class ReportError(MediarefError, ValueError):
    """A report of a conversion can't be read, or is none."""


class ExtraError(MediarefError, ImportError):
    """Something needs a package that is not installed; the message says which extra brings it."""


class LimitError(MediarefError, ValueError):
    """An environment variable that raises a limit holds no such number."""
