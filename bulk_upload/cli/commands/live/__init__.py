"""Commands that show a run to people while it goes on."""
