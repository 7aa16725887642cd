"""What data is, for people: lines for a terminal, objects for programs, and a page."""
