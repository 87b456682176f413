"""Showing topics on a page in a browser, served over loopback HTTP."""
