"""Tests of runs that send objects."""
