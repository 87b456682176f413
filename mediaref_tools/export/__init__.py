"""Writing frames out for others."""
