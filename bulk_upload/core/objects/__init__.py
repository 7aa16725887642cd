"""Objects in stores as sources: how they are named, and what distinguishes their versions."""
