"""Bytes to samples, pure: what a file or message says, split into rows to keep and rows to explain."""
