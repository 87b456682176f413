"""What messages hold, in whatever they are serialised: images, and the records in their place."""
