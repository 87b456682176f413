"""Tests of mediaref_tools.dataset.dataset."""
