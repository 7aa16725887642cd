"""From a planned entry to its recorded attempt."""
