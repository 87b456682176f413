"""HDF5 episodes: pictures found in arrays, and the file written anew."""
