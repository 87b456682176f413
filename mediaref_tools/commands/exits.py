"""Exit codes of every command."""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "INCOMPLETE", "INTERRUPTED", "USAGE"]

FAILED: Final = 1
"""One of our errors, the system's refusal, or a `verify` that found something wrong."""

USAGE: Final = 2
"""The command line itself is wrong (click's own code)."""

INCOMPLETE: Final = 3
"""Finished, but something was kept, embedded, skipped or recovered with loss."""

INTERRUPTED: Final = 130
"""Ctrl-C: 128 + SIGINT, as shells have it."""
