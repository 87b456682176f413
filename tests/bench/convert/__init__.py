"""How fast, how small and how right conversions are, next to other converters."""
