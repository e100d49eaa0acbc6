"""What people see of runs: progress, summaries, tables. Read-only: events and the store in, text out."""
