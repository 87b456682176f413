"""Tests of mediaref_tools.play."""
