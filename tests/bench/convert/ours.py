"""Our contender's process: a conversion, with what each of its stages took. `python -m tests.bench.convert.ours`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mediaref_tools import Settings, convert
from mediaref_tools.progress import Progress


def main() -> None:
    """Log, output, settings as JSON; where to write what the proof took."""
    log, out, settings, told = sys.argv[1:]
    proof: list[tuple[float, float]] = []

    def on_progress(progress: Progress) -> None:
        if progress.stage == "prove" and not proof:
            proof.append((time.monotonic(), time.process_time()))

    report = convert(log, out, settings=Settings.model_validate_json(settings), on_progress=on_progress)
    wall, cpu = proof[0] if proof else (time.monotonic(), time.process_time())
    # Its first word comes with the first message that was compared: a frame later than it began.
    found = {
        "proof_wall": time.monotonic() - wall,
        "proof_cpu": time.process_time() - cpu,
        "frames": report.frames,
        "wrong": report.wrong,
    }
    Path(told).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
