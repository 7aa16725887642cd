"""The dialects a sandbox speaks: one module for each family of Files APIs."""
