"""Rerun's own viewer, on loopback alone and silent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mediaref_tools.errors import OutputError
from mediaref_tools.extra import extra_module

__all__ = ["environment", "show_recording"]


def show_recording(path: Path, *, window: bool) -> None:
    """Show a recording until the viewer is closed, or for as long as nothing is raised here.

    Args:
        path: An `.rrd` file.
        window: In one of its own; else it serves a page for a browser, and says where.

    Raises:
        ExtraError: rerun-sdk is not installed.
        OutputError: The viewer fails.
    """
    package = Path(str(extra_module("rerun_cli", "rerun").__file__)).parent
    program = package / ("rerun.exe" if sys.platform == "win32" else "rerun")
    # Not through the package's script where that can be helped: when it ends, the program would not.
    start = [str(program)] if program.exists() else [sys.executable, "-m", "rerun_cli"]
    # By default it would listen to the whole network.
    options = ["--bind", "127.0.0.1", "--port", "0"]
    if not window:
        options += ["--web-viewer", "--web-viewer-port", "0"]
    try:
        with subprocess.Popen([*start, *options, str(path)], env=environment(os.environ)) as viewer:
            try:
                code = viewer.wait()
            finally:
                viewer.terminate()
    except OSError as error:
        raise OutputError(f"Rerun's viewer can't be started: {error.strerror or error}: {program}") from error
    if code:
        raise OutputError(f"Rerun's viewer ended with exit code {code}; --save FILE writes the recording instead")


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Ours, with what keeps the viewer from reporting its use: it has no other switch that leaves settings alone."""
    return {**{name: value for name, value in ours.items() if name != "FORCE_RERUN_ANALYTICS"}, "CI": "true"}
