"""The proof that a dataset shows what its log showed."""
