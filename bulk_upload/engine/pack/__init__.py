"""Packing: from the entries of a manifest to a folder of packs."""
