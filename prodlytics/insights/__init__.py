"""Machine learning, pure: causes, anomalies, forecasts, and how good they are. Reads no database; takes frames."""
