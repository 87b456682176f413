"""How fast the viewer of `mediaref play` answers, and how many pictures of those that are due it shows."""
