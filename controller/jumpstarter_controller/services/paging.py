"""Pages of a sorted list: a page token says after which item the next page begins, so changes in between do no harm.

A page ends early where its client could not receive it: gRPC's clients take messages of at most 4 MiB.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from jumpstarter_controller.model import InvalidRequest

if TYPE_CHECKING:
    from google.protobuf.message import Message

T = TypeVar("T")
M = TypeVar("M", bound="Message")

#: Bytes of a page's messages, and what each costs in the page besides.
MAX_BYTES: Final = 3 << 20
OVERHEAD: Final = 8


def page(items: Sequence[T], key: Callable[[T], str], size: int, token: str) -> tuple[Sequence[T], str]:
    """The items after *token*, at most *size* of them (0: all), and the token of the next page, '' after the last one.

    *items* are sorted by *key*. Raises InvalidRequest for a token that is none.
    """
    if size < 0:
        raise InvalidRequest(
            f"page_size {size} is negative; expected 0 for all, or the number of items of a page"
        )
    if after := after_token(token):
        items = [item for item in items if key(item) > after]
    if not size or len(items) <= size:
        return items, ""
    return items[:size], _encode(key(items[size - 1]))


def sized_page(
    items: Sequence[T], key: Callable[[T], str], size: int, token: str, show: Callable[[T], M]
) -> tuple[list[M], str]:
    """As `page`, with the items as messages that *show* makes; fewer of them where they are more than `MAX_BYTES`."""
    found, next_token = page(items, key, size, token)
    shown: list[M] = []
    left = MAX_BYTES
    for item in found:
        message = show(item)
        left -= message.ByteSize() + OVERHEAD
        if left < 0 and shown:
            return shown, _encode(key(found[len(shown) - 1]))
        shown.append(message)
    return shown, next_token


def _encode(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode()


def after_token(token: str) -> str:
    """The key of the item before the page of *token*, "" for the first page. Raises InvalidRequest for a token that is none."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise bad_token() from None


def bad_token() -> InvalidRequest:
    """What is wrong with a token that is none."""
    return InvalidRequest("page_token is not one of this lab's; list again from the first page")
