"""MCAP files: read in time order, scanned where there is no index, written anew."""
