"""Wires decisions to the world: feeds entries, holds slots, retries, reconciles, drains."""
