"""Names of the keywords that drivers bring: pure functions over paths and method names.

The rules:

1. The canonical name is the path in the driver tree and then the client's method: ``serial`` and
   ``read_until`` give ``Serial Read Until``. It is unique as long as the tree's names are.
2. A method ``verb[_rest]`` whose verb is in `ALIAS_VERBS` can also be read verb first: ``Read Serial Until``.
   An alias that equals any other name is dropped for all who want it; canonical names always win.
3. Robot Framework ignores case, spaces and underscores, and refuses *both* keywords of two that are equal
   then. So equal canonical names are found here, and neither is offered.
4. A name that a standard library or the library itself has gets the word ``Driver`` in front.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

ALIAS_VERBS = frozenset(
    [
        "read",
        "write",
        "flash",
        "dump",
        "get",
        "set",
        "list",
        "send",
        "wait",
        "take",
        "start",
        "stop",
        "copy",
        "delete",
        "open",
        "close",
    ]
)  # not on, off, cycle, reset, host, dut: `Power On` reads well as it is

RESERVED_PREFIX = "Driver"

_HIDDEN_NAMES = frozenset(
    {"cli", "close", "call", "connect", "log_stream", "pexpect", "resource", "portal", "enumerate"}
)
_HIDDEN_PREFIXES = ("_", "stream", "open")
_HIDDEN_SUFFIXES = ("_async",)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Method:
    """A method of a driver's client: its keyword's name begins with *path*, *name* is the method's own.

    *node* are the names that lead from the tree's root to the driver; they tell methods apart whose paths are
    equal.
    """

    path: tuple[str, ...]
    name: str
    node: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((*(self.node or self.path), self.name))


@dataclass(frozen=True)
class Names:
    """What `assign` decided.

    *canonical* and *aliases* map a keyword name to its method. *rejected* are canonical names that several
    methods claim, *dropped* the aliases given up because something else has that name, *renamed* the canonical
    names that are another keyword's, with what they became.
    """

    canonical: Mapping[str, Method]
    aliases: Mapping[str, Method]
    rejected: Mapping[str, tuple[Method, ...]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


def normalize(name: str) -> str:
    """Fold *name* as Robot Framework does when it looks for a keyword: no case, no spaces, no underscores."""
    return name.casefold().replace(" ", "").replace("_", "")


def is_hidden(method: str) -> bool:
    """Whether a client method of this name is plumbing (streams, the click group), never a keyword."""
    return method in _HIDDEN_NAMES or method.startswith(_HIDDEN_PREFIXES) or method.endswith(_HIDDEN_SUFFIXES)


def title(*parts: str) -> str:
    """Words of all *parts*, each with a capital: ``title("rpi-4", "read_until")`` is ``Rpi 4 Read Until``."""
    return " ".join(word[0].upper() + word[1:] for part in parts for word in _WORD.findall(part))


def root_prefix(client_class: str) -> str:
    """The path name of a driver that is its tree's root and so has none: ``PowerClient`` gives ``power``."""
    stem = client_class.removesuffix("Client") or client_class
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()


def canonical_name(method: Method) -> str:
    """Path, then method: ``Serial Read Until``."""
    return title(*method.path, method.name)


def alias_name(method: Method) -> str | None:
    """The same verb first, ``Read Serial Until``, or None where the method has no verb that reads so."""
    verb, _, rest = method.name.partition("_")
    if verb not in ALIAS_VERBS or not method.path:
        return None
    return title(verb, *method.path, rest)


def assign(methods: Iterable[Method], reserved: Collection[str] = ()) -> Names:
    """Give every method its keyword name, and an alias where one is free.

    *reserved* are names to keep clear of.
    """
    taken = {normalize(name) for name in reserved}
    claims: dict[str, list[tuple[str, Method]]] = {}
    renamed = {}
    for method in methods:
        name = canonical_name(method)
        if normalize(name) in taken:
            renamed[name] = f"{RESERVED_PREFIX} {name}"
            name = renamed[name]
        claims.setdefault(normalize(name), []).append((name, method))
    canonical = {group[0][0]: group[0][1] for group in claims.values() if len(group) == 1}
    rejected = {group[0][0]: tuple(m for _, m in group) for group in claims.values() if len(group) > 1}
    aliases, dropped = _assign_aliases(canonical.values(), taken | claims.keys())
    return Names(canonical, aliases, rejected, dropped, renamed)


def _assign_aliases(methods: Iterable[Method], taken: set[str]) -> tuple[dict[str, Method], tuple[str, ...]]:
    wanted = [(name, method) for method in methods if (name := alias_name(method)) is not None]
    count = Counter(normalize(name) for name, _ in wanted)
    free = {name: m for name, m in wanted if count[normalize(name)] == 1 and normalize(name) not in taken}
    return free, tuple(dict.fromkeys(name for name, _ in wanted if name not in free))
