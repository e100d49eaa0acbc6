"""Progress, summaries and tables for people. Read-only: events and the store in, text out."""
