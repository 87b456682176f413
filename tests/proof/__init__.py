"""Tests of mediaref_tools.proof.judge."""
