"""What became of attempts whose answer was lost."""
