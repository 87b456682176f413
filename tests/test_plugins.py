"""Converter plugins: a stranger's is found and works; broken and quarrelling ones are named; refusals are clear."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mediaref_tools as mrt
from mediaref_tools.errors import LogNotFound, PluginError
from mediaref_tools.plugins import installed, open_log
from mediaref_tools.sample import frame_number, numbered_topic, write_log

TOY = '''
"""A toy: a ROS 1 bag behind a line of its own."""
import shutil, tempfile
from pathlib import Path
from mediaref_tools.plugins import installed

LINE = b"TOY LOG\\n"

class ToyConverter:
    name = "toy"

    def claims(self, path):
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(LINE)) == LINE

    def open(self, path):
        return ToyReader(path)

def _bags():
    return next(plugin.converter for plugin in installed() if plugin.name == "rosbag1")

class ToyReader:
    container = "toy"

    def __init__(self, path):
        self._folder = tempfile.TemporaryDirectory()
        bag = Path(self._folder.name) / "bag"
        bag.write_bytes(path.read_bytes()[len(LINE):])
        self._bag = _bags().open(bag)

    def __getattr__(self, name):
        return getattr(self._bag, name)

    def rewriter(self, out, topics, kind):
        return ToyWriter(self._bag.rewriter(out.with_name(out.name + ".bag"), topics, kind), out)

    def close(self):
        self._bag.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

class ToyWriter:
    def __init__(self, bag, out):
        self._bag, self._out = bag, out
        self.copy, self.record, self.abort = bag.copy, bag.record, bag.abort

    def commit(self):
        self._bag.commit()
        bag = self._out.with_name(self._out.name + ".bag")
        self._out.write_bytes(LINE + bag.read_bytes())
        bag.unlink()
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution of one module that offers converters, for the length of a test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def make(distribution: str, module: str, source: str, *points: str) -> None:
        (site / f"{module}.py").write_text(source)
        info = site / f"{distribution}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[mediaref_tools.converters]\n" + "\n".join(points) + "\n")
        modules.append(module)

    yield make
    for module in modules:
        sys.modules.pop(module, None)


def toy_log(folder: Path, times_ns: list[int]) -> Path:
    bag = write_log(folder / "x.bag", "rosbag1", numbered_topic("/camera", times_ns, size=(96, 128)))
    log = folder / "x.toy"
    log.write_bytes(b"TOY LOG\n" + bag.read_bytes())
    return log


def test_built_in_converters_come_through_entry_points() -> None:
    assert {plugin.name for plugin in installed()} >= {"mcap", "rosbag1", "rosbag2-mcap", "rosbag2-sqlite3"}
    assert all(plugin.error is None and plugin.distribution == "mediaref-tools" for plugin in installed())


def test_strangers_converter_converts_its_own_log(tmp_path: Path, install: Install) -> None:
    install("toy-package", "toy_module", TOY, "toy = toy_module:ToyConverter")
    plugin = next(plugin for plugin in installed() if plugin.name == "toy")
    assert (plugin.distribution, plugin.version, plugin.error) == ("toy-package", "1.2", None)
    times_ns = [1_700_000_000_000_000_000 + number * 33_000_000 for number in range(12)]
    log = toy_log(tmp_path, times_ns)
    report = mrt.convert(log, tmp_path / "out")
    assert (report.container, report.frames, report.wrong, report.missing) == ("toy", 12, 0, 0)
    assert (tmp_path / "out" / "x.toy").read_bytes().startswith(b"TOY LOG\n#ROSBAG V2.0")
    assert mrt.verify(tmp_path / "out", against=log).ok
    with mrt.open_dataset(tmp_path / "out") as dataset:
        assert [frame_number(frame.data) for frame in dataset["/camera"]] == list(range(12))


def test_two_of_one_name_are_both_named_and_the_others_work(tmp_path: Path, install: Install) -> None:
    install("toy-package", "toy_module", TOY, "toy = toy_module:ToyConverter")
    install("rival", "rival_module", TOY, "toy = rival_module:ToyConverter")
    errors = [plugin.error for plugin in installed() if plugin.name == "toy"]
    assert len(errors) == 2
    for error in errors:
        assert error is not None
        assert "toy_module:ToyConverter" in str(error)
        assert "rival_module:ToyConverter" in str(error)
    toy_log(tmp_path, [1_700_000_000_000_000_000])
    with open_log(tmp_path / "x.bag") as log:
        assert log.container == "rosbag1"
    with pytest.raises(PluginError, match="toy"):
        open_log(tmp_path / "x.toy")


def test_one_that_fails_to_import_is_named_and_the_others_work(tmp_path: Path, install: Install) -> None:
    install("broken", "broken_module", "raise ZeroDivisionError('oh')", "broken = broken_module:X")
    plugin = next(plugin for plugin in installed() if plugin.name == "broken")
    assert "ZeroDivisionError: oh" in str(plugin.error)
    assert "broken 1.2" in str(plugin.error)
    toy_log(tmp_path, [1_700_000_000_000_000_000])
    with open_log(tmp_path / "x.bag") as log:
        assert log.container == "rosbag1"


def test_two_that_claim_one_log_are_both_named(tmp_path: Path, install: Install) -> None:
    install("toy-package", "toy_module", TOY, "toy = toy_module:ToyConverter")
    install("rival", "rival_module", TOY, "other = rival_module:ToyConverter")
    log = toy_log(tmp_path, [1_700_000_000_000_000_000])
    with pytest.raises(PluginError, match="'other' of rival and 'toy' of toy-package"):
        open_log(log)


def test_what_is_no_log_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.bag").touch()
    (tmp_path / "text.bag").write_text("not a bag")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").touch()
    for name, words in {
        "nothing.bag": "no such file or folder",
        "empty.bag": "this file is empty",
        "text.bag": "begins with b'not a bag'",
        "pictures": "this folder holds no log",
    }.items():
        with pytest.raises(LogNotFound, match=words) as caught:
            open_log(tmp_path / name)
        assert str(caught.value).endswith(f": {tmp_path / name}")
        assert "\n" not in str(caught.value)
