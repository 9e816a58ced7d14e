"""Parquet in and out: one verified file per dataset and production day, and the manifest that says so."""
