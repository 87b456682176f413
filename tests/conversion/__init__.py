"""Tests of mediaref_tools.conversion.conversion."""
