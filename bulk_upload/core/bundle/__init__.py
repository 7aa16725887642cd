"""Several files in one request: which go together, and what its answer means for each."""
