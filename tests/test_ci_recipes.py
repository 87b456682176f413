"""The recipes of docs/ci.md and the action of GitHub: their steps are run, as a runner would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from mediaref_tools.sample import make_sample

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = YAML(typ="safe").load((ROOT / "action.yml").read_text("utf-8"))
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
ODD_NAME = 'a log\'s "$(touch injected)" ; touch injected #.mcap'


class Done(NamedTuple):
    """What a run of the action left."""

    failed: str | None
    output: str
    outputs: Mapping[str, str]
    summary: str
    runner: Path


def environment(folder: Path) -> dict[str, str]:
    """With `mediaref` and `python` on the path, as after an installation."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for name, command in (("mediaref", "-m mediaref_tools"), ("python", "")):
        script = tools / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        script.chmod(0o755)
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}


def filled(text: str, known: Mapping[str, str]) -> str:
    """A text with its expressions' values."""
    return EXPRESSION.sub(lambda found: known[found[1]], text)


def ran(folder: Path, **inputs: str) -> Done:
    """Run the action's steps as a runner does, but for those that other actions are."""
    runner = folder / "runner"
    runner.mkdir()
    files = {name: runner / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | inputs
    known = {f"inputs.{name}": value for name, value in given.items()}
    output = ""
    for step in ACTION["runs"]["steps"]:
        if "run" not in step or step["name"] == "Install":
            continue
        assert step["shell"] == "bash"
        settings = {name: filled(value, known) for name, value in step["env"].items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder,
            env={
                **environment(folder),
                **settings,
                "RUNNER_TEMP": str(runner),
                **{name: str(file) for name, file in files.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        output += done.stdout
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        outputs = dict(line.split("=", 1) for line in lines)
        known |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in outputs.items()}
        if done.returncode:
            return Done(step["name"], output, outputs, files["GITHUB_STEP_SUMMARY"].read_text(), runner)
    return Done(None, output, outputs, files["GITHUB_STEP_SUMMARY"].read_text(), runner)


def test_the_action_converts_gates_and_tells(tmp_path: Path) -> None:
    log = make_sample(tmp_path / ODD_NAME, container="mcap", seconds=1)
    done = ran(tmp_path, logs=f"\n{ODD_NAME}\n", out="datasets/one", **{"max-ratio": "0.9", "no-loss": "true"})
    assert done.failed is None, done.output
    report = json.loads(Path(done.outputs["report"]).read_text())
    assert report["frames"] == 44
    assert int(done.outputs["bytes-in"]) == log.stat().st_size
    assert int(done.outputs["bytes-out"]) == report["bytes_out"]
    assert (tmp_path / "datasets/one/manifest.json").is_file()
    assert "html" not in done.outputs
    assert not list(tmp_path.rglob("*.html"))
    assert (done.runner / "mediaref/junit.xml").read_text().count("<testcase") == 3
    for topic in report["topics"]:
        assert f"| {topic['frames']} | {topic['bytes_in']:,} | {topic['bytes_out']:,} |" in done.summary
    assert "Everything that was demanded holds." in done.summary
    assert not list(tmp_path.rglob("injected"))


def test_the_action_keeps_a_page_where_one_is_wanted(tmp_path: Path) -> None:
    make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    make_sample(tmp_path / "b.mcap", container="mcap", seconds=1)
    done = ran(tmp_path, logs="a.mcap\nb.mcap", out="out", html="true")
    assert done.failed is None, done.output
    assert Path(done.outputs["html"]) == done.runner / "mediaref/report.html"
    assert "Nothing was kept, embedded or lost." in Path(done.outputs["html"]).read_text("utf-8")


def test_the_action_fails_where_a_demand_does_not_hold(tmp_path: Path) -> None:
    make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    done = ran(tmp_path, logs="a.mcap", out="out", **{"max-ratio": "0.001"})
    assert done.failed == "Gate"
    assert "ratio at most 0.001" in done.output
    assert "0.001" in done.summary
    assert "failures" in (done.runner / "mediaref/junit.xml").read_text()


def test_the_action_takes_options_a_line_each(tmp_path: Path) -> None:
    make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    (tmp_path / "more").mkdir()
    make_sample(tmp_path / "more/b.mcap", container="mcap", seconds=1)
    done = ran(tmp_path, logs="a.mcap\nmore/b.mcap", out="out", options="--min-psnr\n45\n", **{"min-psnr": "45"})
    assert done.failed is None, done.output
    assert sorted(path.parent.name for path in (tmp_path / "out").rglob("manifest.json")) == ["a", "b"]
    settings = json.loads((tmp_path / "out/a/manifest.json").read_text())["settings"]
    assert settings["min_psnr_db"] == 45


def test_a_log_that_fails_fails_the_action_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"nothing")
    done = ran(tmp_path, logs="a.mcap", out="out")
    assert done.failed == "Convert"
    assert not done.outputs


def test_no_input_is_part_of_a_script() -> None:
    """GitHub puts the text in before the shell reads it: a file's name could be a command."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_action_tells_all_that_it_takes_and_gives() -> None:
    used = set(EXPRESSION.findall((ROOT / "action.yml").read_text("utf-8")))
    assert {f"inputs.{name}" for name in ACTION["inputs"]} <= used
    assert all(each["description"] for each in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


def gitlab() -> dict[str, Any]:
    page = (ROOT / "docs/ci.md").read_text("utf-8")
    block = page.split("## GitLab")[1].split("```yaml\n")[1].split("```")[0]
    job: dict[str, Any] = YAML(typ="safe").load(block)["shrink"]
    return job


@pytest.mark.parametrize(("ratio", "status"), [("0.9", 0), ("0.01", 3)])
def test_gitlab_s_lines(tmp_path: Path, ratio: str, status: int) -> None:
    (tmp_path / "recordings").mkdir()
    for name in ("a", "b"):
        make_sample(tmp_path / f"recordings/{name}.bag", container="rosbag1", seconds=1)
    install, *lines = gitlab()["script"]
    assert install.startswith("python -m pip install")
    script = "\n".join(lines).replace("--max-ratio 0.9", f"--max-ratio {ratio}")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    for path in (*gitlab()["artifacts"]["paths"], gitlab()["artifacts"]["reports"]["junit"]):
        assert (tmp_path / path).exists()
