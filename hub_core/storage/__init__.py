"""What the hub keeps: one SQLite database, and secrets sealed in it."""
