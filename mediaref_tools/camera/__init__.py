"""Camera video: packets that were recorded one a message, understood well enough to be remuxed bit for bit."""
