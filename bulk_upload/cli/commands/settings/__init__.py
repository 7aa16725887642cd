"""Commands about settings and profiles."""
