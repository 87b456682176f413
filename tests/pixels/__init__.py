"""Tests of mediaref_tools.pixels.picture."""
