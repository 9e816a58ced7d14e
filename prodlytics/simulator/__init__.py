"""A factory that knows its own truth: telemetry and paperwork as files, and apart from them what really happened."""
