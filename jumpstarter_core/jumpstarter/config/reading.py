"""The start of every configuration file: one mapping with an ``apiVersion`` and a ``kind``."""

from __future__ import annotations

from collections.abc import Sequence

from jumpstarter.config.loader import Node, Problems, describe, parse_yaml

CLIENT_KINDS = ("ClientConfig", "Client")
EXPORTER_KINDS = ("ExporterConfig", "Exporter")
USER_KINDS = ("UserConfig",)

_ALL_KINDS = (*CLIENT_KINDS, *EXPORTER_KINDS, *USER_KINDS)


def read_document(text: str, kinds: Sequence[str], problems: Problems) -> Node:
    """The mapping that a file of one of *kinds* holds; both ``apiVersion`` and ``kind`` may be left out.

    Raises ConfigurationError at once where nothing else of the file can be judged: broken YAML, an empty
    file, no mapping, another kind of file.
    """
    root = parse_yaml(text, problems)
    if root is None:
        if not problems:
            problems.add(1, (), f"the file is empty; expected a mapping with kind: {kinds[0]}")
    elif not root.is_mapping:
        problems.add(root, (), f"found {describe(root)}; expected a mapping with kind: {kinds[0]}")
    else:
        _refuse_other_kind(root, kinds, problems)
        return root
    problems.raise_if_any()
    raise AssertionError("unreachable")


def _refuse_other_kind(root: Node, kinds: Sequence[str], problems: Problems) -> None:
    """A file of another kind would be wrong about every key: say the one thing."""
    kind = root.get("kind")
    if kind is not None and kind.value in _ALL_KINDS and kind.value not in kinds:
        expected = " or ".join(f"'{each}'" for each in kinds)
        problems.add(kind, ("kind",), f"found {describe(kind)}; expected {expected}")
        problems.raise_if_any()
