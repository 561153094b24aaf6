"""What the lists of configurations have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jumpstarter.config.fields import to_plain
from jumpstarter.config.files import dump


class ConfigList:
    """A list of configurations: `items` are models with an `alias` and a `path`, `problems` says what is wrong with others."""

    items: Sequence[Any]
    problems: Sequence[str]

    def to_plain(self) -> dict[str, Any]:
        """The list as plain data, each item with its alias and path."""
        data: dict[str, Any] = to_plain(self)
        data["items"] = [
            {"alias": item.alias, **to_plain(item), "path": str(item.path) if item.path else None}
            for item in self.items
        ]
        return data

    def dump_yaml(self) -> str:
        """The list as YAML."""
        return dump(self.to_plain())

    def dump_json(self) -> str:
        """The list as JSON."""
        import json

        return json.dumps(self.to_plain(), indent=4, ensure_ascii=False)
