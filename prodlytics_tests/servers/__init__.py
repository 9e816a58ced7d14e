"""Real servers for tests, unpacked into `.cache` and started on 127.0.0.1; nothing is installed on the machine."""
