"""Fuzz one target, guided by the branches that its inputs reach: `python -m tests.fuzz.run NAME SECONDS`.

It ends at the first input that raises something, takes more than 10 seconds or 1 GB; that input lies in the folder
that is named then. Once the fault is mended, it belongs into `tests/fuzz/corpus/NAME`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mediaref_tools"]):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def main(name: str, seconds: str) -> None:
    target = TARGETS[name]
    found = Path(tempfile.gettempdir(), "mediaref-fuzz", name)
    for folder in ("corpus", "seeds", "faults"):
        (found / folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for number, seed in enumerate(target.seeds(Path(place))):
            (found / "seeds" / f"{number:02}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=1000",
        "-max_len=20000",
        "-print_final_stats=1",
        f"-artifact_prefix={found / 'faults'}/",
    ]
    kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    atheris.Setup([sys.argv[0], *options, str(found / "corpus"), str(found / "seeds"), *kept], target.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:3])
