"""The Files API: requests to a server, and what its answers mean."""
