"""Objects in stores beside files on disk: read, looked up and checked as these are."""
