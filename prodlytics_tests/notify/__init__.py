"""Tests of prodlytics.notify."""
