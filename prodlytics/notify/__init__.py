"""Delivery of messages to people: mail, chat, SMS, webhooks. What is said comes from `alerts` and `report`."""
