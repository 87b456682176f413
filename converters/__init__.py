"""One module per container. Found through entry points only; the core never imports them."""
