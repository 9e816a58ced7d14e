"""Aggregates for Azure SQL."""
