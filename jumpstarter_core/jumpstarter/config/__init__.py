"""Configuration files of clients, exporters and users: read strictly, written whole.

Import from `jumpstarter.config.client`, `.exporter` and `.user`; this package imports nothing by itself, so
that a command pays only for the file it reads.
"""
