"""Prodlytics: what a factory lost, why, and what to do about it."""
