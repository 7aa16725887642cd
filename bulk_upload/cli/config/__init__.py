"""The settings file: what it may hold, and how it is read."""
