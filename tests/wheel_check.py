"""Builds the wheel, installs it into an empty environment away from the repository, and tries it there.

`make wheel-check` runs it. What it guards: nothing but `mediaref_tools` lands in site-packages, every converter and
schema is inside, entry points load, and a conversion runs without any development dependency.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROBE = """
import importlib.util, json, sys
from importlib.metadata import entry_points, files
from mediaref_tools.plugins import installed
assert importlib.util.find_spec("converters") is None, "the converters must not be importable by that name"
assert importlib.util.find_spec("schemas") is None
broken = [str(plugin.error) for plugin in installed() if plugin.error]
assert not broken, broken
print(json.dumps(sorted(plugin.name for plugin in installed())))
"""

PAGE = """
import sys, urllib.request
import mediaref_tools as mrt
with mrt.view(sys.argv[1]) as viewer:
    for path in ("", "app.js", "style.css", "tile.js", "api/session", "api/0/frame/0/0?w=320"):
        with urllib.request.urlopen(viewer.url + path) as answer:
            print(answer.headers["Content-Type"].split(";")[0], end=" ")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the repository; its standard output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel, built by way of the source distribution, as an upload would be."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def contents(wheel: Path) -> None:
    """Compare what is in the wheel with what is in the repository."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mediaref_tools"}, f"the wheel would put {sorted(tops)} into site-packages"
    expected = {f"mediaref_tools/converters/{path.name}" for path in (ROOT / "converters").glob("*.py")}
    schemas = [path for path in (ROOT / "schemas").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected |= {f"mediaref_tools/schemas/{path.relative_to(ROOT / 'schemas').as_posix()}" for path in schemas}
    modules = (ROOT / "mediaref_tools").rglob("*.py")
    expected |= {path.relative_to(ROOT).as_posix() for path in modules} | {"mediaref_tools/py.typed"}
    page = (ROOT / "mediaref_tools" / "viewer" / "page").iterdir()
    expected |= {path.relative_to(ROOT).as_posix() for path in page}
    missing = sorted(expected - set(names))
    assert not missing, f"not in the wheel: {missing}"


def main() -> None:
    """Build, look inside, install, try."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        contents(wheel)
        environment = folder / "environment"
        venv.create(environment, with_pip=True)
        python, mediaref = environment / "bin" / "python", environment / "bin" / "mediaref"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
        print("converters", run(python, "-c", PROBE, cwd=folder).strip())
        print(run(mediaref, "--version", cwd=folder).strip())
        for container in ("rosbag2-sqlite3", "rosbag2-mcap", "mcap", "rosbag1"):
            log, out = folder / f"log-{container}", folder / f"out-{container}"
            run(python, "-m", "mediaref_tools.sample", log, "--container", container, "--seconds", "1", cwd=folder)
            run(mediaref, "convert", log, "--out", out, cwd=folder)
            run(mediaref, "verify", out, "--against", log, cwd=folder)
            print("converted and verified", container)
        print("page served", run(python, "-c", PAGE, folder / "out-mcap", cwd=folder).strip())


if __name__ == "__main__":
    main()
