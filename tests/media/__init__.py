"""Tests of mediaref_tools.media.opening."""
