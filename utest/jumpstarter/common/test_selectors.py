import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.selectors import Operator, Requirement, Selector, parse_selector, selects

LABELS = {"vendor": "acme", "model": "widget-v2", "lab.example.com/rack": "7"}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "vendor=acme",
        "vendor==acme",
        "vendor=acme,model=widget-v2",
        " vendor = acme , model = widget-v2 ",
        "lab.example.com/rack=7",
        "vendor!=other",
        "missing!=anything",
        "vendor in (acme, other),model",
        "missing notin (a,b)",
        "model notin (widget-v1)",
        "!missing",
    ],
)
def test_labels_that_meet_all_requirements_are_selected(selector):
    assert selects(selector, LABELS)


@pytest.mark.parametrize(
    "selector",
    [
        "vendor=other",
        "vendor=acme,model=widget-v1",
        "vendor!=acme",
        "vendor in (other)",
        "model notin (widget-v2,widget-v3)",
        "missing",
        "!vendor",
        "vendor=",
    ],
)
def test_labels_that_miss_one_requirement_are_not_selected(selector):
    assert not selects(selector, LABELS)


@pytest.mark.parametrize("selector", ["=x", "a=b=c", "a,,b", "a in b", "a=b,", "a b", "a>1", "a in (b,c"])
def test_what_is_no_requirement_is_an_error_that_names_it(selector):
    with pytest.raises(ConfigurationError, match=r"is not a requirement, expected key=value"):
        parse_selector(selector)


def test_requirements_are_values():
    assert parse_selector("a in (x,y),!b") == (
        Requirement("a", Operator.IN, frozenset({"x", "y"})),
        Requirement("b", Operator.ABSENT),
    )


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("", ""),
        ("b=2, a==1", "a=1,b=2"),
        ("a!=2,a!=1", "a notin (1,2)"),
        ("a in (y,x),!c,b", "a in (x,y),b,!c"),
        ("a in (x)", "a in (x)"),
        ("a,a=1,a", "a=1,a"),
        ("a=", "a="),
        ("a notin (x),a!=y,b", "a notin (x,y),b"),
        ("example.com/rack=7,model", "example.com/rack=7,model"),
    ],
)
def test_a_selector_is_printed_as_kubernetes_prints_it(written, canonical):
    assert str(Selector.parse(written)) == canonical
    assert Selector.parse(canonical) == Selector.parse(written)


def test_two_values_for_one_label_are_an_error_that_says_how_to_ask_for_either():
    with pytest.raises(ConfigurationError, match=r"a=1 and a=2 exclude each other; .* a in \(1,2\)"):
        Selector.parse("a=1,a=2")


def test_equalities_are_the_match_labels():
    assert Selector.parse("a=1,b in (2),c=3,!d").match_labels == {"a": "1", "c": "3"}
    assert Selector.matching({"c": "3", "a": "1"}) == Selector.parse("a=1,c=3")


def test_only_the_selector_of_everything_is_false():
    assert not Selector.parse(" ") and Selector.parse(" ").selects({})
    assert Selector.parse("!a") and not Selector.parse("!a").selects({"a": ""})


@pytest.mark.parametrize("part", ["a in (b c)", "a=" + "x" * 64, "k" * 64, "Upper.example/a=1", "a in (-b)"])
def test_keys_and_values_have_the_limits_of_kubernetes(part):
    with pytest.raises(ConfigurationError, match="is not a requirement"):
        Selector.parse(part)


def test_an_endless_selector_is_refused():
    with pytest.raises(ConfigurationError, match="9000 characters are too many, expected at most 8192"):
        Selector.parse("," * 9000)
