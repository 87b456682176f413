"""Whether a browser can be opened here, for somebody to see."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping

__all__ = ["can_open", "open_browser"]

_TEXT = ("www-browser", "links", "elinks", "lynx", "w3m")


def can_open(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether there is a screen before somebody: not at the other end of SSH, nor on a machine without one.

    Args:
        environment: BROWSER names one whatever the rest says.
        platform: As `sys.platform`.
    """
    if environment.get("BROWSER"):
        return True
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    if platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") or environment.get("WSL_DISTRO_NAME"))


def open_browser(url: str) -> bool:
    """Open a page, and say whether a browser took it; one that runs in the terminal is never taken."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if getattr(browser, "name", "") in _TEXT:
        return False
    return browser.open(url)
