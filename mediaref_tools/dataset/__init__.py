"""The dataset folder: its tables, and the reader of its frames."""
