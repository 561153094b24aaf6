"""Template of an out-of-tree driver package: replace this by what yours is for."""
