"""Tests of mediaref_tools.segments."""
