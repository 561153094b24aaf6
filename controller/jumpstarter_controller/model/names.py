"""Names, labels, tags and context: what may be in them. Each check raises InvalidRequest with one line.

The limits are those of the Kubernetes objects of stock Jumpstarter, so that a lab can move to a cluster and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jumpstarter.common.selectors import is_label_key, is_label_value

from .errors import InvalidRequest

#: Labels under this prefix belong to the exporter process; all others to the administrator.
RESERVED_PREFIX = "jumpstarter.dev/"
#: Tags of a lease stand under this prefix among the labels by which stock clients filter.
TAG_PREFIX = "metadata.jumpstarter.dev/"
MAX_TAGS = 10
#: Of a client or an exporter; a list of a thousand exporters has to fit into what clients receive.
MAX_LABELS = 64
MAX_CONTEXT = 8
MAX_CONTEXT_KEY = 32
MAX_CONTEXT_VALUE = 64

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_PART}(?:\.{_PART})*")


def check_name(kind: str, name: str) -> str:
    """*name* itself, when a *kind* ("lease", "client", ...) may be called so.

    Raises:
        InvalidRequest: it is empty, longer than 253 characters or has other characters than the message tells.
    """
    if not 0 < len(name) <= 253 or _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{kind} name {_short(name)} is not valid, expected 1 to 253 of a-z, 0-9, '-' and '.', beginning and ending "
            "with a letter or digit"
        )
    return name


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that no selector could name, or too many.

    Raises:
        InvalidRequest: there are more than 64, or a key or value is not that of a Kubernetes label.
    """
    if len(labels) > MAX_LABELS:
        raise InvalidRequest(f"{len(labels)} labels are too many, expected at most {MAX_LABELS}")
    for key, value in labels.items():
        if not is_label_key(key):
            raise InvalidRequest(
                f"label key {_short(key)} is not valid, expected name or prefix.example.com/name with at most 63 letters, "
                "digits, '-', '_' and '.' in the name"
            )
        _check_value("label", key, value)


def check_tags(tags: Mapping[str, str], maximum: int = MAX_TAGS) -> None:
    """Refuse tags that a lease may not have; *maximum* is how many it may have.

    Raises:
        InvalidRequest: there are too many, a key has a prefix or is no label name, or a value is no label value.
    """
    if len(tags) > maximum:
        raise InvalidRequest(f"{len(tags)} tags are too many, a lease may have at most {maximum}")
    for key, value in tags.items():
        if "/" in key or not is_label_key(TAG_PREFIX + key):
            raise InvalidRequest(
                f"tag key {_short(key)} is not valid, expected at most 63 letters, digits, '-', '_' and '.', without '/'"
            )
        _check_value("tag", key, value)


def check_context(context: Mapping[str, str]) -> None:
    """Refuse context (what a client tells the exporter about its lease) that is too large.

    Raises:
        InvalidRequest: there are more than 8 entries, or a key of more than 32 or a value of more than 64 characters.
    """
    if len(context) > MAX_CONTEXT:
        raise InvalidRequest(
            f"{len(context)} entries of context are too many, a lease may have at most {MAX_CONTEXT}"
        )
    for key, value in context.items():
        for what, text, limit in (("key", key, MAX_CONTEXT_KEY), ("value", value, MAX_CONTEXT_VALUE)):
            if len(text) > limit:
                raise InvalidRequest(
                    f"context {what} {_short(text)} is {len(text)} characters long, expected at most {limit}"
                )
        if not key:
            raise InvalidRequest("a context key is empty, expected key=value")


def check_claim(claim: str) -> None:
    """Refuse the name of a claim that is empty or has more than 64 characters. Raises InvalidRequest."""
    if not 0 < len(claim) <= MAX_CONTEXT_VALUE:
        raise InvalidRequest(
            f"claim {_short(claim)} is not valid, expected 1 to {MAX_CONTEXT_VALUE} characters"
        )


def _check_value(what: str, key: str, value: str) -> None:
    if not is_label_value(value):
        raise InvalidRequest(
            f"{what} {key}={_short(value)} is not valid, expected at most 63 letters, digits, '-', '_' and '.', beginning "
            "and ending with a letter or digit"
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
