"""One request at the sandbox: read, checked, answered."""
