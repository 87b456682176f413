"""From an image value to the planes that an encoder takes, and from planes to arrays."""
