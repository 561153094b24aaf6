"""What comes from an exporter takes no keyword's place and is no HTML."""

from __future__ import annotations

import pytest
from jumpstarter.common.exceptions import ConnectionError, JumpstarterException

from JumpstarterLibrary.errors import NotSeenError, as_text
from JumpstarterLibrary.naming import Method, assign
from JumpstarterLibrary.standard import standard_names


@pytest.mark.parametrize(
    ("driver", "method", "name"),
    [
        ("run", "process", "Driver Run Process"),
        ("process", "start", "Process Start"),
        ("file", "create", "File Create"),
        ("create", "file", "Driver Create File"),
        ("log_to", "console", "Driver Log To Console"),
        ("create", "dictionary", "Driver Create Dictionary"),
        ("parse", "xml", "Driver Parse Xml"),
        ("get", "lines_matching_pattern", "Driver Get Lines Matching Pattern"),
        ("power", "on", "Power On"),
    ],
)
def test_names_of_standard_libraries_keep_their_owner(driver: str, method: str, name: str) -> None:
    names = assign([Method((driver,), method)], standard_names())
    assert list(names.canonical) == [name]
    assert not any(alias in ("Start Process", "Create File") for alias in names.aliases)


def test_a_name_that_was_changed_is_told() -> None:
    assert assign([Method(("run",), "process")], standard_names()).renamed == {
        "Run Process": "Driver Run Process"
    }


@pytest.mark.parametrize(
    "error",
    [
        JumpstarterException("*HTML* <script>"),
        ConnectionError("  *html* <script>"),
        ValueError("*HTML*<b>"),
        NotSeenError("*HTML* <script>", "'x'", 1, b""),
        KeyError("*HTML*"),
    ],
)
def test_no_message_begins_with_the_mark_of_html(error: Exception) -> None:
    text = str(error)
    told = str(as_text(error))
    assert not told.lstrip().upper().startswith("*HTML*")
    assert text.strip("'") in told


def test_other_messages_stay_as_they_are() -> None:
    error = ValueError("a *HTML* b")
    assert as_text(error) is error
    assert str(error) == "a *HTML* b"
