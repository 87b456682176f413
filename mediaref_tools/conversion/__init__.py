"""Making a dataset of a log."""
