"""Tests of reading objects, against the sandbox's store."""
