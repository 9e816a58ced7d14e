"""Prodlytics: what a factory lost, why, and what to do about it."""

__version__ = "0.1.0"
