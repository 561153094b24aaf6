"""A measured process: it takes requests, lines of JSON, from standard input and answers on standard output."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

#: Marks the lines that are answers; whatever else is printed is left alone.
MARK: Final = "bench:"


def answer(measures: Mapping[str, Callable[..., float]], hello: Mapping[str, Any]) -> None:
    """Say *hello*, then run what is asked for, a name in *measures* and arguments, until standard input ends."""
    _print(hello)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            _print({"value": measures[name](*arguments)})
        except Exception:  # noqa: BLE001 - raised again by who asked
            _print({"error": traceback.format_exc()})


def _print(message: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{MARK}{json.dumps(message)}\n")
    sys.stdout.flush()
