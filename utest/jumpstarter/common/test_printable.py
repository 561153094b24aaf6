from __future__ import annotations

import pytest
from jumpstarter.common.printable import printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, äöü, 日本語, 🚀", "plain text, äöü, 日本語, 🚀"),
        ("a\tb\nc", "a\tb\nc"),
        ("line\r\nline\r\n", "line\nline\n"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("hidden\rshown", r"hidden\rshown"),
        ("a\x08\x00\x7f", r"a\x08\x00\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202egnp.exe\u202c", r"\u202egnp.exe\u202c"),
        ("a\u2028b\ufeff\u200f", r"a\u2028b\ufeff\u200f"),
        ("\ud83d", r"\ud83d"),
        ("a\u200bb\u2060c\u00add", r"a\u200bb\u2060c\xadd"),
        ("\ufff9a\ufffab\ufffb", r"\ufff9a\ufffab\ufffb"),
        ("x\U000e0041\U000e007f", r"x\U000e0041\U000e007f"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
        ("back\\x1b", "back\\x1b"),
    ],
)
def test_control_characters_are_shown_as_text(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_one_line_stays_one() -> None:
    assert printable_line("a\nb\r\nc") == r"a\nb\nc"
