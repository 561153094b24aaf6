"""The value codec under its documented import name."""

from .values import decode_value, encode_value

__all__ = ["decode_value", "encode_value"]
