"""Restoring logs."""
