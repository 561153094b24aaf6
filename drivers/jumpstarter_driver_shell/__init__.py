"""Commands of the exporter's shell, each offered to clients as a method."""
