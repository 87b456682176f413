"""Tests mirror the code; see tests/fixtures for the logs they run on."""
