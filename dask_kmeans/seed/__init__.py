"""Where the centers start."""
