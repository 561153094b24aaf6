"""Storage attached to an exporter: object stores and file systems, flashers, and storage multiplexers."""
