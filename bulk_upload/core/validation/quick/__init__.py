"""What can be said of a line without the exact way, where it is certain that the exact way says the same."""
