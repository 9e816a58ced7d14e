"""Tests of prodlytics.alerts."""
