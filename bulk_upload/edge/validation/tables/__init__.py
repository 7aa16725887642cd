"""Reads files that are tables: Parquet."""

from bulk_upload.edge.validation.tables.parquet import check_parquet, parquet_columns, parquet_rows

__all__ = ["check_parquet", "parquet_columns", "parquet_rows"]
