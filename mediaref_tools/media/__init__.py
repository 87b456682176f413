"""Whatever a reference names: stills and videos, local or remote, opened and decoded."""
