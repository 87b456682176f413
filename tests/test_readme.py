"""The README's example, run as it stands, on the log that the README says how to make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_python_example_runs_on_a_file_the_reader_has(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    example = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    assert "python -m mediaref_tools.sample drive.mcap --container mcap" in text
    sample = [sys.executable, "-m", "mediaref_tools.sample", "drive.mcap", "--container", "mcap", "--seconds", "2"]
    subprocess.run(sample, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MediaRef(uri='media/camera-left-image_raw-compressed/000000.mp4', pts_ns=" in done.stdout
    assert done.stdout.rstrip().endswith("['/camera/left/image_raw/compressed', '/camera/right/image_raw']")
    shown = re.findall(r"`(mediaref [a-z]+)", text) + re.findall(r"^(mediaref [a-z]+)", text, re.MULTILINE)
    for command in sorted(set(shown)):
        helped = subprocess.run(
            [sys.executable, "-m", "mediaref_tools", *command.split()[1:], "--help"], capture_output=True, check=False
        )
        assert helped.returncode == 0, command
