from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ArgumentError, ConfigurationError

from JumpstarterLibrary.selection import Candidate, Created, Request, Where, choose, parse_labels

SHELL = {"JUMPSTARTER_HOST": "/run/x.sock"}
LABELS = {**SHELL, "JMP_EXPORTER_LABELS": "model=widget-v2,vendor=acme", "JMP_EXPORTER": "lab-1"}


def matches(selector, labels):
    return parse_labels(selector).items() <= labels.items()


def decide(environ=None, candidates=(), background=None, lab=False, created=(), active=(), **request):
    return choose(
        Request(**request),
        environ or {},
        lambda: candidates,
        matches,
        lambda: Candidate(background, {"vendor": "acme"}) if background else None,
        lambda: lab,
        lambda: created,
        lambda: active,
    )


def lease(name, selector=None, board="left", *, named=None, client=None, **state):
    labels = {"vendor": "acme", "side": board}
    return Created(name, Request(selector=selector, name=named, client=client), board, labels, **state)


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
    assert (choice.where, choice.value, choice.notes) == (Where.BACKGROUND, "/run/b.sock", ())
    with pytest.raises(ConfigurationError, match="does not select the exporter of jmp local start"):
        decide(background="/run/b.sock", selector="vendor=other")


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


@pytest.mark.parametrize("request_", [{}, {"client": "anna"}])
def test_with_a_client_and_nothing_else_its_one_active_lease_is_used(request_):
    choice = decide(lab=True, active=("l-1",), **request_)
    assert (choice.where, choice.value) == (Where.LEASE, "l-1")
    with pytest.raises(ConfigurationError, match=r"2 active leases \(l-1, l-2\)"):
        decide(lab=True, active=("l-1", "l-2"), **request_)
    with pytest.raises(ConfigurationError, match="no active lease"):
        decide(lab=True, **request_)


@pytest.mark.parametrize("name", ["JUMPSTARTER_HOST", "JMP_LEASE"])
def test_an_empty_variable_chooses_nothing_else(name):
    with pytest.raises(ArgumentError, match=f"{name} is empty"):
        decide({name: ""}, background="/run/b.sock")


@pytest.mark.parametrize("argument", ["name", "lease", "duration"])
def test_a_lease_without_controller_is_refused(argument):
    with pytest.raises(ConfigurationError, match=f"{argument}= asks a controller"):
        decide(**{argument: "x"})


def test_a_selector_picks_the_local_exporter_with_these_labels():
    candidates = [Candidate("a", {"vendor": "acme"}), Candidate("b", {"vendor": "other"}), Candidate("c")]
    choice = decide(candidates=candidates, selector="vendor=acme")
    assert (choice.where, choice.value, choice.notes) == (Where.LOCAL, "a", ())


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "no local exporter has these labels"),
        ([Candidate("a")], "no local exporter has these labels"),
        ([Candidate(name, {"vendor": "acme"}) for name in "ab"], r"2 local exporters may be meant \(a, b\)"),
        ([Candidate("a", {"vendor": "other"})], "no local exporter has these labels"),
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


def test_without_arguments_the_oldest_created_lease_that_is_free_is_used_by_its_own_client():
    created = (lease("l-1", busy="has ended"), lease("l-2", client="anna", same_client=False), lease("l-3"))
    choice = decide(created=created)
    assert (choice.where, choice.value, choice.client) == (Where.LEASE, "l-2", "anna")


def test_without_arguments_and_a_free_created_lease_nothing_else_is_taken_silently():
    created = (lease("l-1", busy="has ended"), lease("l-2", busy="connected as 'left'"))
    with pytest.raises(ConfigurationError, match=r"\(l-1 has ended, l-2 connected as 'left'\): say which"):
        decide(created=created, background="/run/b.sock")


def test_the_lease_of_the_environment_wins_over_created_ones_without_arguments():
    assert decide({"JMP_LEASE": "l-0"}, created=(lease("l-1"),)).value == "l-0"


@pytest.mark.parametrize(
    ("request_", "taken"),
    [
        ({"selector": "vendor=acme,side=left"}, "both"),
        ({"selector": "side=left, vendor==acme"}, "both"),
        ({"selector": "vendor=acme"}, "oldest"),
        ({"selector": "side=left"}, "oldest"),
        ({"selector": "side=right"}, "named"),
        ({"name": "right"}, "named"),
        ({"name": "left"}, "oldest"),
        ({"name": "left", "selector": "side=left"}, "oldest"),
        ({"name": "left", "selector": "side=right"}, None),
        ({"name": "middle"}, None),
        ({"selector": "vendor=other"}, None),
        ({"client": "anna"}, "oldest"),
    ],
)
def test_a_created_lease_that_was_made_for_the_same_is_taken_else_the_oldest_that_fits(request_, taken):
    created = (
        lease("oldest", "side"),
        lease("both", "vendor=acme,side=left"),
        lease("younger", "vendor=acme,side=left"),
        lease("named", named="right", board="right"),
    )
    choice = decide(lab=True, created=created, **request_)
    assert (choice.where, choice.value) == (Where.LEASE, taken)


def test_a_created_lease_fits_what_it_was_made_for_where_labels_are_not_told():
    created = (Created("l-1", Request(selector="side=left"), "left"),)
    assert decide(lab=True, created=created, selector="side=left").value == "l-1"
    assert decide(lab=True, created=created, selector="vendor=acme").value is None


@pytest.mark.parametrize("state", [{"busy": "connected as 'left'"}, {"same_client": False}])
def test_a_created_lease_in_use_or_of_another_client_is_not_taken(state):
    created = (lease("l-1", "side=left", **state), lease("l-2", "side=left"))
    assert decide(lab=True, created=created, selector="side=left").value == "l-2"
    assert decide(lab=True, created=created[:1], selector="side=left").value is None


def test_a_lease_that_is_named_wins_over_created_ones():
    assert decide(lab=True, created=(lease("l-1"),), lease="l-0", selector="side=left").value == "l-0"


def test_a_duration_for_a_created_lease_is_noted_as_without_effect():
    choice = decide(lab=True, created=(lease("l-1"),), selector="side=left", duration=object())
    assert (choice.value, *choice.notes) == ("l-1", "duration= has no effect: the lease exists already")


def test_a_surrounding_shell_wins_over_leases():
    created = (lease("l-1", "vendor=acme"),)
    assert decide(SHELL, lab=True, selector="vendor=acme", created=created).where is Where.SHELL
