"""The page in a browser: nothing is asked for, nothing goes wrong, nothing sticks out."""

from __future__ import annotations

from pathlib import Path

import pytest

import mediaref_tools as mrt
from tests.browser import CHROMIUM, opened
from tests.smalllogs import camera, log_of, others
from tests.webreport.reading import Page

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome: the page is not opened"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """With long names, kept topics and a floor that is missed."""
    folder = tmp_path_factory.mktemp("page")
    messages = [*camera("/a_camera_with/a_long_name/" + "x" * 120), *camera("/small", 3), *others()]
    settings = mrt.Settings(min_psnr_db=60)
    report = mrt.convert(log_of(folder, "mcap", messages), folder / "set", settings=settings)
    return mrt.html_report(report.model_copy(update={"missed": ("/small has a PSNR of 50 dB, not 60",)}))


@pytest.mark.parametrize("width", [360, 420, 800, 1280])
def test_it_opens_by_itself_and_fits(page: str, tmp_path: Path, width: int) -> None:
    look = opened(page, tmp_path, width=width)
    assert look.console == []
    assert look.requests == ["/page.html", "/framed.html"]
    assert len(look.pictures) == len(Page(page).pictures) > 3
    assert all(look.pictures)
    assert look.scroll_width == width


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_light_or_dark_as_its_reader_likes(page: str, tmp_path: Path, dark: bool) -> None:
    assert opened(page, tmp_path, width=800, dark=dark).background == (
        "rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)"
    )


def test_its_policy_keeps_all_else_out(page: str, tmp_path: Path) -> None:
    """Were a name ever taken for markup, the browser would not follow it; and we would hear of it here."""
    bad = page.replace("<footer>", '<footer><img src="/x.png" alt=""><script>fetch("/y")</script>')
    look = opened(bad, tmp_path, width=800)
    assert look.requests == ["/page.html", "/framed.html"]
    assert len(look.console) == 2
