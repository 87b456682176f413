"""Read a frames table with Hugging Face `datasets` (pip install 'mediaref-tools[hf]'), and decode a column of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import datasets

import mediaref_tools as mrt
from mediaref_tools.hf import MediaRefFeature
from mediaref_tools.sample import frame_number, make_sample

datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder) / "dataset"
    mrt.convert(make_sample(Path(folder) / "robot.mcap", container="mcap", seconds=2), root)

    # The file is plain parquet, which opens anywhere; casting makes objects of its structs.
    rows = datasets.load_dataset("parquet", data_files=str(root / "frames.parquet"), split="train", cache_dir=folder)
    rows = rows.cast_column("media", MediaRefFeature())
    print(len(rows), "frames of", sorted(set(rows["topic"])))
    print(rows[0]["media"])

    # Paths in the table count from its own folder.
    some = rows.filter(lambda row: row["topic"] == "/camera/left/image_raw/compressed").select([40, 3, 17])
    pictures = mrt.decode_column(some["media"], base_path=root)
    print([picture.shape for picture in pictures], [frame_number(picture) for picture in pictures])

    # pandas, polars and pyarrow columns decode in the same way.
    table = some.to_pandas()
    print([frame_number(picture) for picture in mrt.decode_column(table["media"], base_path=root)])
