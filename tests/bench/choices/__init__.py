"""What each setting of an encoder costs and gives: size, quality, seconds of encoding and of decoding."""
