"""Segments: one video file each, written and read back."""
