"""What `restore` did, as a value and as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.report import LossReport

__all__ = ["RestoreReport", "RestoredTopic"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RestoredTopic(_Model):
    """One topic whose records became images again. Its messages are the sum of the five counts."""

    topic: str
    type: str
    codec: str = Field(description="of the segments that they came from; several are joined by +")
    identical: int = Field(description="the very messages, as their hashes prove")
    unproved: int = Field(description="the very messages, but the dataset has no hash of them: it is of format 1 or 2")
    pixels: int = Field(description="other bytes of the very same pixels: a file made anew of lossless video")
    near: int = Field(description="made anew of lossy video")
    different: int = Field(description="not what they were, though nothing was to be lost")
    bytes: int = Field(description="of the messages as they were written")

    @property
    def messages(self) -> int:
        """How many."""
        return self.identical + self.unproved + self.pixels + self.near + self.different


class RestoreReport(_Model):
    """What a restoration did."""

    dataset: str
    out: str
    container: str
    messages: int = Field(description="in the log that was written")
    copied: int = Field(description="of them, those that the dataset's log has byte for byte")
    verified: bool = Field(description="whether the log was read back and compared")
    topics: tuple[RestoredTopic, ...]
    losses: tuple[LossReport, ...] = Field(description="what the container asked for could not take over")
    problems: tuple[str, ...] = Field(description="one line each, the first hundred")
    bytes: int = Field(description="of the log that was written")
    seconds: float

    @property
    def different(self) -> int:
        """Messages that are not what they were to be."""
        return sum(topic.different for topic in self.topics)

    @property
    def kept_its_word(self) -> bool:
        """Whether all that was promised is so: the difference between exit code 0 and 3."""
        unproved = self.verified and any(topic.unproved for topic in self.topics)
        return not (self.different or self.losses or self.problems or unproved)
