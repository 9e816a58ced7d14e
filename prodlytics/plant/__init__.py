"""What the client tells us about the plant."""
