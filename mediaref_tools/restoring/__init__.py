"""Making a log again of its dataset."""
