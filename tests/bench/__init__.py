"""Measurements, run by hand: `python -m tests.bench.NAME`. None of them is a test."""
