"""Tests of the addresses of objects."""
