from __future__ import annotations

from jumpstarter.client.selectors import extract_match_labels_filter, parse_label_selector, selector_contains


def test_labels_and_other_requirements_come_apart() -> None:
    labels, rest = parse_label_selector("b=2,a=1,c in (x,y),!d")
    assert labels == {"a": "1", "b": "2"}
    assert sorted(map(str, rest)) == ["!d", "c in (x,y)"]


def test_filter_is_what_leases_can_be_filtered_by() -> None:
    assert extract_match_labels_filter("b=2,a=1,c in (x,y)") == "a=1,b=2"
    assert extract_match_labels_filter("!d") is None


def test_selector_contains_another() -> None:
    assert selector_contains("a=1,b=2", "b=2")
    assert selector_contains("a=1", "")
    assert not selector_contains("a=1", "a=1,b=2")
