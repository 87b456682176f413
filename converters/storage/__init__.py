"""What containers have in common: order by time, files packed as a whole, room for scratch files."""
