"""Packs: many JSON Lines files as few. What goes into which, and what brings each file back byte for byte."""
