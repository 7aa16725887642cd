"""The settings file: its content, and how it is read."""
