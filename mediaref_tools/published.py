"""The published contracts in `schemas/`, made from the models: `python -m mediaref_tools.published schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mediaref_tools.conversion.batch import BatchReport
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.report import Report, VerifyReport
from mediaref_tools.restoring.report import RestoreReport

__all__ = ["published"]

_MODELS: dict[str, type[Any]] = {
    "mediaref": MediaRef,
    "record": Record,
    "manifest": Manifest,
    "report": Report,
    "batch-report": BatchReport,
    "verify-report": VerifyReport,
    "restore-report": RestoreReport,
}


def published() -> dict[str, str]:
    """File names and texts: JSON Schemas of the models, and the Arrow types of a MediaRef and the frames table."""
    texts = {}
    for name, model in _MODELS.items():
        schema = TypeAdapter(model).json_schema(mode="validation")
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        texts[f"{name}.schema.json"] = json.dumps(schema, indent=1) + "\n"
    from mediaref_tools.dataset.frames import MEDIAREF, SCHEMA

    texts["frames.arrow.txt"] = SCHEMA.to_string() + "\n"
    texts["mediaref.arrow.txt"] = f"{MEDIAREF}\n"
    return texts


def main(folder: Path) -> None:
    """Write the contracts into a folder."""
    for name, text in published().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
