"""Tests of mediaref_tools.export.export."""
