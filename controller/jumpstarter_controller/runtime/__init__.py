"""The lab while it runs: its state in memory, one loop that changes it and writes it down, and those who watch it."""
