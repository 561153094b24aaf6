from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter.config.loader import MAX_VALUES, Node, Problems, key_path, parse_yaml, read_file


def parse(text: str) -> tuple[Node | None, list[str]]:
    problems = Problems("f")
    node = parse_yaml(text, problems)
    return node, problems.lines()


def test_nodes_know_their_lines() -> None:
    node, problems = parse("a: 1\nb:\n  - x\n  - {c: 2.5}\nd: 2024-01-02\n")
    assert node is not None and not problems
    assert node.plain() == {"a": 1, "b": ["x", {"c": 2.5}], "d": datetime.date(2024, 1, 2)}
    paths: list[list[str | int]] = [["a"], ["b"], ["b", 1, "c"], ["d"]]
    assert [node.at(path).line for path in paths] == [1, 2, 4, 5]


def test_merge_keys_and_aliases_are_followed_and_own_keys_win() -> None:
    node, problems = parse("base: &b {host: h, port: 1}\nx:\n  <<: *b\n  port: 2\ny:\n  <<: [*b, {z: 1}]\n")
    assert node is not None and not problems
    assert node.plain()["x"] == {"host": "h", "port": 2}
    assert node.plain()["y"] == {"host": "h", "port": 1, "z": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c", "f:1: not valid YAML (column 5): mapping values are not allowed in this context"),
        ("a: 1\n b: 2", "f:2: not valid YAML (column 3): mapping values are not allowed in this context"),
        ("x: *nosuch", "f:1: not valid YAML (column 4): found undefined alias"),
        ("a: 1\n--- 2\n", "f:2: not valid YAML (column 1): but found another document"),
        ("a: 1\nb: \x01", "f:2: not valid YAML: control characters are not allowed"),
        ("a: 1\na: 2", "f:2: a: duplicate key; the first one is in line 1"),
        ("{a: 1, a: 2}", "f:1: a: duplicate key; the first one is in line 1"),
        ("1: a\n1: b", "f:2: 1: duplicate key; the first one is in line 1"),
        ('"a\\nb": 1\n"a\\nb": 2', "f:2: a\\nb: duplicate key; the first one is in line 1"),
        ("a: &x [*x]", "f:1: a[0]: alias of a value inside that value; expected an acyclic file"),
        ("a: !mine 1", "f:1: a: YAML tag '!mine' is not allowed; expected a plain value"),
        ("[1]: 2", "f:1: a list or mapping as a key; expected text"),
        ("a: 2024-99-99", "f:1: a: '2024-99-99' is not valid; if it is text, quote it: \"2024-99-99\""),
        ("a:\n  <<: 1", "f:2: a.<<: found the whole number 1; expected a mapping to merge"),
    ],
)
def test_each_fault_is_one_line(text: str, line: str) -> None:
    assert parse(text)[1][0].startswith(line)


def test_keys_of_other_types_are_other_keys() -> None:
    assert parse("1: a\ntrue: b\n1.0: c\n'1': d")[1] == []


@pytest.mark.parametrize("depth", [200, 20000])
def test_deep_nesting_is_refused(depth: int) -> None:
    _, problems = parse("a: " + "[" * depth + "]" * depth)
    assert len(problems) == 1
    assert problems[0].startswith(("f:1: a[0][0]: nested deeper than 100 levels", "f:1: not valid YAML"))


def test_aliases_cannot_expand_without_bound() -> None:
    text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
    text += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    with pytest.raises(ConfigurationError, match=f"expands to more than {MAX_VALUES} values"):
        parse(text)


def test_key_path() -> None:
    assert key_path(("export", "a", 0, "b")) == "export.a[0].b"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(ConfigurationError, match=r"latin.yaml:2: not UTF-8 text; save the file as UTF-8"):
        read_file(latin)
    with pytest.raises(FileAccessError, match="cannot be read: is a directory"):
        read_file(tmp_path)


def test_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_file(path) == "a: 1\n"
