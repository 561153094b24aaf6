from datetime import timedelta
from typing import Any

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter_controller.model import (
    Device,
    InvalidRequest,
    NotPermitted,
    Role,
    Token,
    check_access,
    check_labels,
    find_approval,
)
from jumpstarter_controller.model.policies import AccessPolicy, Approval, PolicyRule

from utest.jumpstarter_controller.labs import HOUR, NOW, client, exporter, policy, rule


def test_an_exporter_is_online_while_it_is_heard_of() -> None:
    board = exporter("b")
    assert board.is_online(NOW + timedelta(seconds=60))
    assert not board.is_online(NOW + timedelta(seconds=61))
    assert not exporter("b", last_seen=None).is_online(NOW)
    assert not exporter("b", status=ExporterStatus.OFFLINE).is_online(NOW)


def test_registering_replaces_the_labels_of_the_exporter_and_no_others() -> None:
    board = exporter("b", {"rack": "7", "jumpstarter.dev/old": "1"}, devices=None)
    registered = board.with_registration(
        {"jumpstarter.dev/name": "b", "rack": "8", "mine": "1"}, (Device("u1"),)
    )
    assert registered.labels == {"rack": "7", "jumpstarter.dev/name": "b"}
    assert registered.registered and not board.registered
    assert exporter("b", devices=()).registered
    gone = registered.without_registration("stopped")
    assert (gone.registered, gone.status, gone.status_message) == (False, ExporterStatus.OFFLINE, "stopped")


ANNA, BERT = client("anna", team="a"), client("bert", team="b")
BOARD = exporter("board", {"kind": "x"})


def test_without_policies_everyone_may_do_everything() -> None:
    assert find_approval((), ANNA, BOARD, 1000 * HOUR) == Approval(0, False)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((rule("team=a", priority=3),), Approval(3, False)),
        ((rule("team=a", priority=3), rule("", priority=5)), Approval(5, False)),
        ((rule("team=a", priority=1), rule("", priority=5, spot_access=True)), Approval(1, False)),
        ((rule("team=a", spot_access=True, priority=2),), Approval(2, True)),
        ((rule("team=a", maximum_duration=HOUR),), None),
        ((rule("team=a", maximum_duration=HOUR), rule("", spot_access=True)), Approval(0, True)),
        ((rule("team=b"),), None),
        ((PolicyRule(),), None),
        ((), None),
    ],
)
def test_the_best_rule_that_names_the_client_and_allows_the_time_counts(rules: Any, expected: Any) -> None:
    policies = [policy("other", "kind=y", rule("", priority=99)), policy("p", "kind=x", *rules)]
    assert find_approval(policies, ANNA, BOARD, 2 * HOUR) == expected


def test_an_empty_exporter_selector_is_for_all() -> None:
    assert find_approval([AccessPolicy(name="p", rules=(rule(""),))], ANNA, BOARD, HOUR) == Approval()


def test_extension_and_transfer_are_refused_in_one_line_with_what_is_allowed() -> None:
    policies = [
        policy("p", "kind=x", rule("team=a", maximum_duration=HOUR, description="short runs of team a"))
    ]
    assert check_access(policies, ANNA, BOARD, HOUR) == Approval()
    with pytest.raises(
        NotPermitted, match=r"permission denied: 2h is longer than the 1h .* client anna use exporter"
    ):
        check_access(policies, ANNA, BOARD, 2 * HOUR)
    with pytest.raises(NotPermitted, match=r"lets client bert use exporter board \(short runs of team a\)$"):
        check_access(policies, BERT, BOARD, HOUR)


def test_labels_that_no_selector_could_name_are_refused() -> None:
    check_labels({"a": "b", "example.com/a": ""})
    for labels in ({"a b": "c"}, {"a": "b c"}, {"": ""}, {"A.example/x": ""}):
        with pytest.raises(InvalidRequest, match="is not valid"):
            check_labels(labels)


def test_a_token_is_valid_until_it_expires_or_is_revoked() -> None:
    token = Token(id="1", role=Role.CLIENT, owner="anna", issued_at=NOW, expires_at=NOW + HOUR)
    assert token.is_valid(NOW) and not token.is_valid(NOW + HOUR)
    revoked = Token(
        id="1", role=Role.CLIENT, owner="anna", issued_at=NOW, expires_at=NOW + HOUR, revoked_at=NOW
    )
    assert not revoked.is_valid(NOW)
