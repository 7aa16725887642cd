"""Reads files that are tables: Parquet."""

from bulk_upload.edge.validation.tables.parquet import check_parquet, parquet_columns

__all__ = ["check_parquet", "parquet_columns"]
