"""Topics as a recording of Rerun's."""
