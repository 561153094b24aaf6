"""Pages of a sorted list: a page token says after which item the next page begins, so changes in between do no harm."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from jumpstarter_controller.model import InvalidRequest

T = TypeVar("T")


def page(items: Sequence[T], key: Callable[[T], str], size: int, token: str) -> tuple[Sequence[T], str]:
    """The items after *token*, at most *size* of them (0: all), and the token of the next page, '' after the last one.

    *items* are sorted by *key*. Raises InvalidRequest for a token that is none.
    """
    if size < 0:
        raise InvalidRequest(
            f"page_size {size} is negative; expected 0 for all, or the number of items of a page"
        )
    if token:
        after = _decode(token)
        items = [item for item in items if key(item) > after]
    if not size or len(items) <= size:
        return items, ""
    return items[:size], base64.urlsafe_b64encode(key(items[size - 1]).encode()).decode()


def _decode(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise InvalidRequest("page_token is not one of this lab's; list again from the first page") from None
