"""A stranger's converter, written from the protocol alone, keeps the public contract, and `convert` takes its logs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.errors import LogNotFound, MediarefError, PluginError
from mediaref_tools.log import Converter
from mediaref_tools.plugins import installed, open_log
from mediaref_tools.sample import frame_number
from mediaref_tools.testing import ConverterContract
from tests import toylog
from tests.smalllogs import camera, log_of, times
from tests.toylog import ToyConverter, write_toy_log


def pictures(count: int = 12) -> list[tuple[int, bytes]]:
    return [(message.log_time_ns, message.body.data.tobytes()) for message in camera(count=count)]


class TestToyContract(ConverterContract):
    def converter(self) -> Converter:
        return ToyConverter()

    def log(self, folder: Path) -> Path:
        return write_toy_log(folder / "log.toy", pictures(4)[::-1])


def install(site: Path, distribution: str, points: str, modules: dict[str, str]) -> None:
    for name, source in modules.items():
        (site / f"{name}.py").write_text(source)
    info = site / f"{distribution.replace('-', '_')}-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(f"[mediaref_tools.converters]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, of this test alone."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("stranger"):
            del sys.modules[name]


@pytest.fixture
def toy(site: Path) -> None:
    install(site, "toy-logs", "toy = stranger_toy:ToyConverter", {"stranger_toy": Path(toylog.__file__).read_text()})


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("kind", ["typed", "string"])
def test_it_converts_its_own_log(tmp_path: Path, kind: str) -> None:
    plugin = next(plugin for plugin in installed() if plugin.name == "toy")
    assert (plugin.distribution, plugin.version, plugin.target) == ("toy-logs", "3.1", "stranger_toy:ToyConverter")
    frames = pictures()
    frames[5] = (frames[5][0], b"no picture")
    source = write_toy_log(tmp_path / "log.toy", frames)
    settings = Settings.model_validate({"record": kind})
    report = convert(source, tmp_path / "out", settings=settings)
    assert (report.container, report.frames, report.wrong, report.missing, report.embedded) == ("toy", 12, 0, 0, 1)
    assert report.messages_in == report.messages_out == 24
    assert verify(tmp_path / "out", against=source).ok
    with open_dataset(tmp_path / "out") as dataset:
        shown = dataset["/camera"].batch([each for each in range(12) if each != 5])
        assert [frame_number(frame.data) for frame in shown] == [each for each in range(12) if each != 5]
        assert dataset["/camera"].stamps_ns.tolist() == [time - 5 for time in times(12)]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("raise RuntimeError('no licence')", "no licence"),
        ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
        ("class Other: pass", "StrangerConverter"),
        ("class StrangerConverter:\n    def __init__(self, needed): pass", "needed"),
        ("class StrangerConverter:\n    def __init__(self): raise OSError('no dongle')", "no dongle"),
        ("def StrangerConverter(: pass", "SyntaxError"),
    ],
    ids=["raises", "imports", "lacks", "takes", "fails", "syntax"],
)
def test_one_that_can_not_be_loaded_is_named_with_its_reason(
    tmp_path: Path, site: Path, module: str, words: str
) -> None:
    install(site, "bad-logs", "bad = stranger_bad:StrangerConverter", {"stranger_bad": module})
    plugin = next(plugin for plugin in installed() if plugin.name == "bad")
    assert plugin.converter is None
    assert isinstance(plugin.error, PluginError)
    for word in ("'bad'", "bad-logs", "3.1", "stranger_bad:StrangerConverter", words):
        assert word in str(plugin.error)
    assert "\n" not in str(plugin.error)
    assert [other.name for other in installed() if other.error] == ["bad"]
    with open_log(write_toy_log(tmp_path / "log.toy", pictures(1))) as log:
        assert log.container == "toy"
    (tmp_path / "text").write_text("nothing of theirs")
    with pytest.raises(PluginError, match="bad-logs"):
        open_log(tmp_path / "text")


def test_three_of_one_name_are_all_named_and_none_is_taken(tmp_path: Path, site: Path) -> None:
    source = Path(toylog.__file__).read_text()
    for number in range(2):
        install(site, f"rival{number}", f"toy = stranger_{number}:ToyConverter", {f"stranger_{number}": source})
    install(site, "thief", "rosbag1 = stranger_0:ToyConverter", {})
    broken = {plugin.name: str(plugin.error) for plugin in installed() if plugin.error}
    assert broken.keys() == {"toy", "rosbag1"}
    assert "stranger_0:ToyConverter and stranger_1:ToyConverter" in broken["toy"]
    assert "mediaref_tools.converters.rosbag1.reader:Rosbag1Converter and stranger_0:ToyConverter" in broken["rosbag1"]
    with pytest.raises(PluginError):
        open_log(write_toy_log(tmp_path / "log.toy", pictures(1)))
    with open_log(log_of(tmp_path, "mcap", camera(count=1))) as log:
        assert log.container == "mcap"


@pytest.mark.usefixtures("toy")
def test_two_that_claim_one_log_are_both_named(tmp_path: Path, site: Path) -> None:
    install(site, "also-toys", "toys = stranger_two:ToyConverter", {"stranger_two": Path(toylog.__file__).read_text()})
    with pytest.raises(PluginError, match=r"'toy' of toy-logs and 'toys' of also-toys.*log\.toy$"):
        open_log(write_toy_log(tmp_path / "log.toy", pictures(1)))


def test_claim_that_raises_does_not_stop_the_others(tmp_path: Path, site: Path) -> None:
    module = "class C:\n    name = 'bad'\n    def claims(self, path): raise KeyError('oh')\n"
    install(site, "bad-logs", "bad = stranger_bad:C", {"stranger_bad": module})
    with open_log(log_of(tmp_path, "mcap", camera(count=1))) as log:
        assert log.container == "mcap"


@pytest.mark.parametrize("kind", ["empty folder", "pictures", "nested", "empty", "text.bag", "text.mcap", "text.db3"])
def test_what_is_no_log_is_told_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind.startswith("text"):
        path.write_text("stamp,x,y\n1,2,3\n")
    elif kind == "empty":
        path.touch()
    else:
        path.mkdir()
    if kind == "pictures":
        (path / "000001.jpg").write_bytes(pictures(1)[0][1])
    if kind == "nested":
        shutil.move(log_of(tmp_path / "made", "rosbag1", camera(count=1)), path / "x.bag")
    with pytest.raises(LogNotFound) as caught:
        convert(path, tmp_path / "out")
    told = str(caught.value)
    assert told.endswith(f": {path}")
    assert "\n" not in told
    assert len(told) < 250 + len(str(path))
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "path",
    [
        "not/there.bag",
        "",
        "a\0b.bag",
        "x" * 300,
    ],
    ids=["nothing", "no name", "NUL", "long"],
)
def test_path_that_leads_nowhere_is_a_log_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(MediarefError):
        convert(path, tmp_path / "out")
    with pytest.raises(MediarefError):
        open_log(Path(path))
