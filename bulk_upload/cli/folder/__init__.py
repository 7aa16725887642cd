"""A folder in place of a manifest: its options, the screen of its plan, and the questions."""
