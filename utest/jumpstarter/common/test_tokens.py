"""When users of a token are told that it expires."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from jumpstarter.common.tokens import ends_soon

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def token(left: timedelta, life: timedelta | None) -> str:
    claims = {"exp": (NOW + left).timestamp()}
    if life is not None:
        claims["iat"] = (NOW + left - life).timestamp()
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)
    )
    return ".".join((*parts, "signature"))


@pytest.mark.parametrize(
    ("left", "life", "told"),
    [
        (3 * DAY, 365 * DAY, "expires in 3 days"),
        (3 * DAY, None, "expires in 3 days"),
        (8 * DAY, 365 * DAY, ""),
        (3 * DAY, 10 * DAY, ""),  # a short life is no reason to nag from its first day on
        (timedelta(minutes=5), timedelta(hours=1), "expires in 5 minutes"),
        (timedelta(minutes=30), timedelta(hours=1), ""),
        (-DAY, 365 * DAY, ""),  # the controller refuses it
    ],
)
def test_notice_comes_in_the_last_week_and_the_last_tenth(
    left: timedelta, life: timedelta | None, told: str
) -> None:
    notice = ends_soon(token(left, life), "client 'anna'", "renew it", NOW)
    assert bool(notice) == bool(told) and told in notice
    if told:
        assert notice.startswith("the token of client 'anna' expires in ") and notice.endswith(": renew it")


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "e30.e30.x"])
def test_token_that_does_not_say_when_it_expires_is_not_told_of(text: str) -> None:
    assert ends_soon(text, "client 'anna'", "renew it", NOW) == ""
