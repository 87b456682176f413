"""Making logs of numbered pictures, of every encoding and in every container: for samples and tests."""
