"""Tests of how examples are shown."""
