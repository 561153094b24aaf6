"""The harness itself: what it takes for a block, and that a page which is not true fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from utest.docs.console import Mismatch, Step, matches, steps
from utest.docs.execute import BlockFailed, run_page
from utest.docs.pages import UnclosedBlock, blocks

FENCE = "```"


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text.replace("~~~", FENCE), encoding="utf-8")
    return path


def test_blocks_carry_language_line_text_and_comments(tmp_path: Path) -> None:
    found = blocks(
        page(
            tmp_path,
            "# T\n\n<!-- file: a.yaml -->\n\n~~~yaml\na: 1\n~~~\n\n1. x\n\n   ~~~console\n   $ ls\n   ~~~\n",
        )
    )
    assert [(block.language, block.line, block.text, block.comments) for block in found] == [
        ("yaml", 5, "a: 1\n", {"file": "a.yaml"}),
        ("console", 11, "$ ls\n", {}),
    ]


def test_a_comment_counts_only_directly_above_its_block(tmp_path: Path) -> None:
    (block,) = blocks(page(tmp_path, "<!-- file: a -->\nSome prose.\n~~~text\n~~~\n"))
    assert block.comments == {}


def test_block_without_an_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnclosedBlock, match="never closed"):
        blocks(page(tmp_path, "~~~text\n"))


def test_steps_are_commands_with_the_output_below_them() -> None:
    assert steps("$ cat <<E\n> a\n> E\na\n\n> b\n$ false\n$ echo $?\n1\n") == [
        Step("cat <<E\na\nE", "a\n\n> b\n"),
        Step("false", "", None),
        Step("echo $?", "1\n"),
    ]


def test_output_before_any_command_is_an_error() -> None:
    with pytest.raises(ValueError, match="starts with a command"):
        steps("oops\n")


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("a b\n", "a b", True),
        ("a\nb\n", "a  \nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a...z\n", "a\nb\nz\n", True),
        ("...z", "y", False),
        ("voltage=... V\n", "voltage=5.0 V\n", True),
        ("a.c", "abc", False),
    ],
)
def test_dots_stand_for_anything(expected: str, got: str, same: bool) -> None:
    assert matches(expected, got) is same


TRUE_PAGES = [
    "~~~console\n$ echo one; echo two >&2\none\n$ echo two >&2\ntwo\n~~~",
    "~~~console\n$ export A=5\n~~~\n\n~~~console\n$ echo $A\n5\n~~~",
    "~~~console\n$ bash\n$ echo inner\ninner\n$ exit\n$ echo outer\nouter\n~~~",
    "~~~console\n$ (exit 3)\n$ echo $?\n3\n~~~",
    "<!-- exit: 3 -->\n~~~console\n$ (exit 3)\n~~~",
    "<!-- file: a/b.py -->\n~~~python\nprint('from file')\n~~~\n~~~console\n$ python a/b.py\nfrom file\n~~~",
    "~~~console\n$ sleep 1000 &\n~~~",
    "~~~python\nassert __name__ == '__main__'\n~~~",
    "~~~pycon\n>>> 1 + 1\n2\n>>> 'abc'\n'a...'\n~~~",
    "~~~robot\n*** Test Cases ***\nT\n    Log    hello\n~~~",
    "~~~yaml\na: 1\n~~~",
    "~~~toml\na = 1\n~~~",
    '~~~json\n{"a": 1}\n~~~',
    "~~~text\nanything\n~~~",
]

FALSE_PAGES = [
    ("~~~console\n$ echo one\ntwo\n~~~", Mismatch, "the output differs"),
    ("~~~console\n$ false\n~~~", Mismatch, "exit code 1, expected 0"),
    ("~~~console\n$ false\n$ true\n~~~", Mismatch, "exit code 1, expected 0"),
    ("<!-- exit: 1 -->\n~~~console\n$ true\n~~~", Mismatch, "exit code 0, expected 1"),
    ("~~~python\nraise SystemExit(2)\n~~~", BlockFailed, "page.md:1: exit code 2"),
    ("~~~pycon\n>>> 1 + 1\n3\n~~~", BlockFailed, "Expected"),
    ("~~~robot\n*** Test Cases ***\nT\n    Fail    no\n~~~", BlockFailed, "exit code 1"),
    ("~~~sh\nls\n~~~", BlockFailed, "a block of 'sh' is not run"),
    ("~~~\nls\n~~~", BlockFailed, "a block of '' is not run"),
    ("~~~yaml\na: [\n~~~", BlockFailed, "while parsing"),
    (
        "~~~yaml\nexport:\n  power:\n    tpye: jumpstarter_driver_power.driver.MockPower\n~~~",
        BlockFailed,
        "tpye",
    ),
    ("~~~toml\na =\n~~~", ValueError, "Invalid value"),
]


@pytest.mark.parametrize("text", TRUE_PAGES)
def test_true_page_passes(text: str, tmp_path: Path) -> None:
    assert run_page(page(tmp_path, text), tmp_path) == []


@pytest.mark.parametrize(("text", "error", "message"), FALSE_PAGES)
def test_false_page_fails(text: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        run_page(page(tmp_path, text), tmp_path)


def test_pages_do_not_see_the_settings_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JMP_ENDPOINT", "elsewhere:1")
    assert run_page(page(tmp_path, '~~~console\n$ echo "-$JMP_ENDPOINT-"\n--\n~~~'), tmp_path) == []
