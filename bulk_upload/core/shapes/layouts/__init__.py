"""How a record becomes one of each layout: one module for each."""
