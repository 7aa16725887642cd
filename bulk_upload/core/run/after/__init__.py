"""Decides about receipts once uploads are over."""
