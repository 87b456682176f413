"""Playing topics in a terminal."""
