"""Validates data files before they are sent: in processes of their own, so that uploads continue meanwhile."""
