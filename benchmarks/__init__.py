"""How fast the core is, as ratios to limits that are measured in the same run. Not tests: see README.md."""
