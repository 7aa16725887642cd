"""Validates files before they are sent."""
