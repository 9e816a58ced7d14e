"""The daily report: one page about one production day, and its charts."""
