"""The Files API: what a server is asked, and what its answers mean."""
