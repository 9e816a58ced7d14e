"""Servers that behave as other people's systems do, for tests and a client's rehearsal.

Belongs here: what a vendor documents, errors and throttling included, written without our code. Does not belong here:
what we make of it.
"""
