"""Alerts: rules and the life of an alert. Delivery is in `notify`."""
