from __future__ import annotations

import pytest
from jumpstarter.common.suggestions import did_you_mean, nearest

NAMES = ["type", "config", "children", "onFailure", "current-client"]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("tyep", "type"),
        ("onfailure", "onFailure"),
        ("on_failure", "onFailure"),
        ("currentclient", "current-client"),
        ("zzz", None),
    ],
)
def test_nearest(name: str, match: str | None) -> None:
    assert nearest(name, NAMES) == match


def test_did_you_mean_is_a_clause_or_nothing() -> None:
    assert did_you_mean("tyep", NAMES) == "; did you mean 'type'?"
    assert did_you_mean("zzz", NAMES) == ""
