"""What becomes of every encoding that a log can hold, by really converting it."""
