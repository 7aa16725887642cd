"""This machine: its file systems, and shortages of its resources."""
