"""Robot logs with references to video instead of pictures, and the reader that decodes them frame by frame."""
