"""Anomalies, pure: process residuals, scrap counts, vibration; episodes, contributors, hypotheses. Takes arrays."""
