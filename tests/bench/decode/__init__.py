"""The decode benchmark: sparse frames out of one video file, by us and by every peer, in one interleaved run.

`make bench-decode`; what it measures and how is in docs/decoding.md.
"""
