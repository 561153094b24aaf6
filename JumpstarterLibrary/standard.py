"""Names of the keywords of Robot's standard libraries.

Robot prefers another library's keyword to a standard library's of the same name, with a warning only. So an exporter could have a
suite's ``Run Process`` run something else; drivers' keywords keep clear of all of these names.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from robot.libraries import STDLIBS

_FUNCTION = re.compile(r"^(?:    )?def ([a-z]\w*)\(", re.MULTILINE)
_NAMED = re.compile(r"""^(?:    )?@keyword\(\s*(?:name=)?["']([^"']+)["']""", re.MULTILINE)


@cache
def standard_names() -> frozenset[str]:
    """Names of all keywords of the standard libraries, and some more, as their sources have them: none is imported."""
    return frozenset(name for library in STDLIBS for name in _names(library))


def _names(library: str) -> set[str]:
    spec = find_spec(f"robot.libraries.{library}")
    if spec is None or spec.origin is None:
        return set()
    source = Path(spec.origin).read_text("utf-8")
    functions = {name.replace("_", " ").title() for name in _FUNCTION.findall(source)}
    return functions | set(_NAMED.findall(source))
