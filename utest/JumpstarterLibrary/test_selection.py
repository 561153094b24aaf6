from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError

from JumpstarterLibrary.selection import Candidate, Request, Where, choose, parse_labels

SHELL = {"JUMPSTARTER_HOST": "/run/x.sock"}
LABELS = {**SHELL, "JMP_EXPORTER_LABELS": "model=widget-v2,vendor=acme", "JMP_EXPORTER": "lab-1"}


def matches(selector, labels):
    return parse_labels(selector).items() <= labels.items()


def decide(environ=None, candidates=(), background=None, lab=False, created=(), **request):
    return choose(
        Request(**request),
        environ or {},
        lambda: candidates,
        matches,
        lambda: background,
        lambda: lab,
        created,
    )


@pytest.mark.parametrize(
    ("request_", "where", "value"),
    [
        ({"exporter": "demo"}, Where.LOCAL, "demo"),
        ({"config": Path("a/b.yaml")}, Where.FILE, "a/b.yaml"),
        ({"host": "lab:1234"}, Where.HOST, "lab:1234"),
    ],
)
def test_an_argument_that_names_an_exporter_wins_over_the_surrounding_shell(request_, where, value):
    choice = decide(SHELL, **request_)
    assert (choice.where, choice.value) == (where, value)


def test_without_arguments_the_surrounding_shell_is_used():
    choice = decide(SHELL)
    assert (choice.where, choice.value, choice.notes) == (Where.SHELL, "/run/x.sock", ())


def test_without_arguments_and_shell_the_built_in_exporter_is_used():
    assert decide(candidates=[Candidate("demo")]).where is Where.BUILT_IN


def test_without_a_shell_the_exporter_of_jmp_local_start_is_used():
    choice = decide(background="/run/b.sock", candidates=[Candidate("demo")], selector="vendor=acme")
    assert (choice.where, choice.value) == (Where.BACKGROUND, "/run/b.sock")
    assert "not checked" in choice.notes[0]


def test_a_shell_and_a_name_win_over_the_exporter_of_jmp_local_start():
    assert decide(SHELL, background="/run/b.sock").where is Where.SHELL
    assert decide(exporter="demo", background="/run/b.sock").where is Where.LOCAL


def test_two_arguments_that_name_exporters_contradict_each_other():
    with pytest.raises(ConfigurationError, match="exporter=, host="):
        decide(exporter="a", host="b")


def test_a_selector_is_checked_against_the_surrounding_exporters_labels():
    assert decide(LABELS, selector="vendor=acme,model=widget-v2").notes == ()
    with pytest.raises(ConfigurationError, match=r"selector vendor=other does not select .*vendor=acme"):
        decide(LABELS, selector="vendor=other")


def test_a_selector_that_cannot_be_checked_is_noted():
    choice = decide(SHELL, selector="vendor=acme")
    assert choice.where is Where.SHELL
    assert "not checked" in choice.notes[0]


def test_a_lease_of_another_exporter_than_the_surrounding_one_is_refused():
    assert decide(LABELS, name="lab-1").notes == ()
    with pytest.raises(
        ConfigurationError, match="name=lab-2 was asked for, the surrounding jmp shell has lab-1"
    ):
        decide(LABELS, name="lab-2")


def test_a_duration_in_a_surrounding_shell_is_noted_as_without_effect():
    assert "duration= has no effect" in decide(SHELL, duration=object()).notes[0]


@pytest.mark.parametrize("argument", ["name", "lease", "duration"])
def test_a_lease_without_controller_is_refused(argument):
    with pytest.raises(ConfigurationError, match=f"{argument}= asks a controller"):
        decide(**{argument: "x"})


def test_a_selector_picks_the_local_exporter_with_these_labels():
    candidates = [Candidate("a", {"vendor": "acme"}), Candidate("b", {"vendor": "other"}), Candidate("c")]
    choice = decide(candidates=candidates, selector="vendor=acme")
    assert (choice.where, choice.value, choice.notes) == (Where.LOCAL, "a", ())


def test_a_selector_picks_the_only_local_exporter_whose_labels_are_unknown_and_says_so():
    choice = decide(candidates=[Candidate("demo")], selector="vendor=acme")
    assert choice.value == "demo"
    assert "not checked" in choice.notes[0]


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "no local exporter has them"),
        ([Candidate("a"), Candidate("b")], r"2 local exporters may be meant \(a, b\)"),
        ([Candidate("a", {"vendor": "other"})], "no local exporter has them"),
    ],
)
def test_a_selector_that_does_not_pick_one_exporter_is_refused(candidates, message):
    with pytest.raises(ConfigurationError, match=message):
        decide(candidates=candidates, selector="vendor=acme")


@pytest.mark.parametrize("request_", [{"selector": "vendor=acme"}, {"name": "lab-1"}, {"lease": "l-1"}])
def test_with_a_client_configured_what_is_asked_for_is_leased(request_):
    choice = decide(lab=True, background="/run/b.sock", candidates=[Candidate("demo")], **request_)
    assert (choice.where, choice.value) == (Where.LEASE, request_.get("lease"))


def test_a_client_by_name_needs_no_current_one():
    assert decide(client="anna", selector="vendor=acme").where is Where.LEASE


def test_a_duration_alone_does_not_say_what_to_lease():
    with pytest.raises(ConfigurationError, match="give selector=, name= or lease="):
        decide(lab=True, duration=object())


def test_the_lease_of_the_environment_is_used():
    choice = decide({"JMP_LEASE": "l-1"})
    assert (choice.where, choice.value) == (Where.LEASE, "l-1")
    assert decide({"JMP_LEASE": "direct"}).where is Where.BUILT_IN


def test_the_last_created_lease_is_used():
    choice = decide(created=("l-1", "l-2"))
    assert (choice.where, choice.value) == (Where.LEASE, "l-2")


def test_a_surrounding_shell_wins_over_leases():
    assert decide(SHELL, lab=True, selector="vendor=acme", created=("l-1",)).where is Where.SHELL
