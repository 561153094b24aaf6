"""Label selectors, in the grammar of Kubernetes.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ describes it.

Requirements are separated by commas and must all hold: ``key=value`` (or ``==``), ``key!=value``, ``key in (a,b)``,
``key notin (a,b)``, ``key``, ``!key``. Negative ones hold for labels without the key too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from jumpstarter.common.exceptions import ConfigurationError

#: The longest selector that is read, in characters: ten times what the labels of a crowded board come to.
MAX_LENGTH = 8192


class Operator(Enum):
    """How a requirement looks at a label."""

    EQUALS = "="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"


@dataclass(frozen=True)
class Requirement:
    """What one label must be; *values* belong to `Operator.EQUALS`, `Operator.IN` and `Operator.NOT_IN`."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet the requirement."""
        match self.operator:
            case Operator.EQUALS | Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.ABSENT:
                return self.key not in labels

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.operator:
            case Operator.EQUALS:
                return f"{self.key}={values}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} ({values})"
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"


@dataclass(frozen=True)
class Selector:
    """Requirements that must all hold, in the one order and form in which Kubernetes prints them.

    Requirements are sorted by key, equalities first; ``!=`` becomes ``notin``, and several on one key become one. Two
    selectors that say the same in these forms are equal, and ``str()`` of them too.
    """

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read a selector; an empty text gives the one that selects everything.

        Raises:
            ConfigurationError: a requirement is not of any of the forms, or two ask for different values of one label.
        """
        return cls.of(parse_selector(text))

    @classmethod
    def of(cls, requirements: Iterable[Requirement]) -> Selector:
        """The selector of these requirements.

        Raises:
            ConfigurationError: two equalities ask for different values of one label.
        """
        excluded: dict[str, frozenset[str]] = {}
        kept: dict[Requirement, None] = {}
        equal: dict[str, Requirement] = {}
        for requirement in requirements:
            key = requirement.key
            if requirement.operator is Operator.NOT_IN:
                excluded[key] = excluded.get(key, frozenset()) | requirement.values
                continue
            if requirement.operator is Operator.EQUALS and equal.setdefault(key, requirement) != requirement:
                raise ConfigurationError(
                    f"selector: {equal[key]} and {requirement} exclude each other; to select either of the two write "
                    f"{key} in ({','.join(sorted(equal[key].values | requirement.values))})"
                )
            kept[requirement] = None
        kept.update((Requirement(key, Operator.NOT_IN, values), None) for key, values in excluded.items())
        order = list(Operator)
        return cls(tuple(sorted(kept, key=lambda r: (r.key, order.index(r.operator), sorted(r.values)))))

    @classmethod
    def of_parts(cls, requirements: Iterable[Requirement]) -> Selector:
        """The selector of requirements that come in parts, not as a text.

        Raises:
            ConfigurationError: a key or value is not that of a label, so that it would mean another thing in a text; there are
                values where the operator takes none, or none where it takes some; two exclude each other.
        """
        checked = list(requirements)
        for requirement in checked:
            _check(requirement)
        return cls.of(checked)

    @classmethod
    def matching(cls, labels: Mapping[str, str]) -> Selector:
        """The selector that asks for exactly these values (``matchLabels`` of Kubernetes)."""
        return cls.of(Requirement(key, Operator.EQUALS, frozenset({value})) for key, value in labels.items())

    @property
    def match_labels(self) -> dict[str, str]:
        """The labels whose value is given with ``=``."""
        return {r.key: next(iter(r.values)) for r in self.requirements if r.operator is Operator.EQUALS}

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet all requirements."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        """False for the selector that selects everything."""
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


#: Names of labels and their values, as Kubernetes limits them: 63 characters, and 253 for the prefix of a name.
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PREFIX = r"(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_KEY = rf"(?:{_PREFIX}/)?{_NAME}"
_VALUE = re.compile(rf"(?:{_NAME})?")
_FORMS = (
    (re.compile(rf"(?P<key>{_KEY})\s*==?\s*(?P<values>(?:{_NAME})?)"), Operator.EQUALS),
    (re.compile(rf"(?P<key>{_KEY})\s*!=\s*(?P<values>(?:{_NAME})?)"), Operator.NOT_IN),
    (re.compile(rf"(?P<key>{_KEY})\s+in\s*\((?P<values>[^()]*)\)"), Operator.IN),
    (re.compile(rf"(?P<key>{_KEY})\s+notin\s*\((?P<values>[^()]*)\)"), Operator.NOT_IN),
    (re.compile(rf"!\s*(?P<key>{_KEY})"), Operator.ABSENT),
    (re.compile(rf"(?P<key>{_KEY})"), Operator.EXISTS),
)


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector as they are written; an empty text has none, and selects everything.

    Raises:
        ConfigurationError: a requirement is not of any of the forms above, or the text is longer than `MAX_LENGTH`.
    """
    if not isinstance(text, str):  # of a program; a dictionary of labels, say
        raise ConfigurationError(f"selector is {text!r}, expected a text such as 'key=value,other=value'")
    if len(text) > MAX_LENGTH:
        raise ConfigurationError(
            f"selector {text[:40]!r}...: {len(text)} characters are too many, expected at most {MAX_LENGTH}"
        )
    if not text.strip():
        return ()
    return tuple(_requirement(part.strip(), text) for part in _parts(text))


def selects(text: str, labels: Mapping[str, str]) -> bool:
    """Whether the selector *text* selects *labels*. Raises as `parse_selector`."""
    return all(requirement.holds(labels) for requirement in parse_selector(text))


def is_label_key(text: str) -> bool:
    """Whether *text* can name a label: ``name`` or ``prefix.example.com/name``."""
    return re.fullmatch(_KEY, text) is not None


def is_label_value(text: str) -> bool:
    """Whether *text* can be the value of a label: at most 63 letters, digits, ``-``, ``_`` and ``.``, or empty."""
    return _VALUE.fullmatch(text) is not None


def _check(requirement: Requirement) -> None:
    key, operator = requirement.key, requirement.operator
    if not is_label_key(key):
        raise ConfigurationError(
            f"selector: {key!r} cannot be the key of a label, expected name or prefix.example.com/name with at most "
            "63 letters, digits, '-', '_' and '.' in the name"
        )
    for value in sorted(requirement.values):
        if not is_label_value(value):
            raise ConfigurationError(
                f"selector: {value!r} cannot be the value of label {key}, expected at most 63 letters, digits, '-', '_' "
                "and '.', beginning and ending with a letter or digit"
            )
    takes_values = operator not in (Operator.EXISTS, Operator.ABSENT)
    if takes_values != bool(requirement.values):
        raise ConfigurationError(
            f"selector: label {key} is compared with no value, expected one at least"
            if takes_values
            else f"selector: whether label {key} is there depends on no value, found {', '.join(sorted(requirement.values))}"
        )


def _parts(text: str) -> Iterator[str]:
    """The text between the commas that stand outside of brackets."""
    start, inside = 0, False
    for position, character in enumerate(text):
        if character in "()":
            inside = character == "("
        elif character == "," and not inside:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _requirement(part: str, text: str) -> Requirement:
    for form, operator in _FORMS:
        match = form.fullmatch(part)
        if match is not None:
            values = match.groupdict().get("values")
            found = frozenset() if values is None else frozenset(v.strip() for v in values.split(","))
            if all(map(is_label_value, found)):
                return Requirement(match["key"], operator, found)
    raise ConfigurationError(
        f"selector {text!r}: {part!r} is not a requirement, expected key=value, key!=value, key in (a,b), "
        "key notin (a,b), key or !key"
    )
