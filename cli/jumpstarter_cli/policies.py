"""Access policies: between files, the form of stock Jumpstarter's ExporterAccessPolicy, and the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jumpstarter.common.durations import format_duration, parse_duration
from jumpstarter.common.exceptions import ArgumentError, ConfigurationError
from jumpstarter.common.selectors import Operator, Requirement, Selector
from jumpstarter.common.suggestions import did_you_mean

from .admin import API_VERSION

KIND = "ExporterAccessPolicy"
_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.ABSENT,
}


def described_policy(policy: Any) -> dict[str, Any]:
    """A policy of the wire as plain data, which `read_policy` reads."""
    rules = []
    for rule in policy.rules:
        item: dict[str, Any] = {
            "priority": rule.priority,
            "from": [{"clientSelector": _selector_data(text)} for text in rule.client_selectors],
        }
        if rule.description:
            item["description"] = rule.description
        if rule.HasField("maximum_duration"):
            item["maximumDuration"] = format_duration(rule.maximum_duration.ToTimedelta())
        if rule.spot_access:
            item["spotAccess"] = True
        rules.append(item)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": policy.name, "namespace": policy.namespace},
        "spec": {"exporterSelector": _selector_data(policy.exporter_selector), "policies": rules},
    }


def _selector_data(text: str) -> dict[str, Any]:
    selector, found = Selector.parse(text), dict[str, Any]()
    if selector.match_labels:
        found["matchLabels"] = selector.match_labels
    expressions = []
    for requirement in selector.requirements:
        if requirement.operator is Operator.EQUALS:
            continue
        name = next(name for name, operator in _OPERATORS.items() if operator is requirement.operator)
        expression: dict[str, Any] = {"key": requirement.key, "operator": name}
        if requirement.values:
            expression["values"] = sorted(requirement.values)
        expressions.append(expression)
    if expressions:
        found["matchExpressions"] = expressions
    return found


def read_policies(path: Path, namespace: str) -> list[Any]:
    """The policies in a YAML file of one or more documents. Raises ConfigurationError naming file, place and reason."""
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    found = [document for document in documents if document is not None]
    if not found:
        raise ConfigurationError(f"{path}: empty: expected an object of kind {KIND}")
    return [_Reader(f"{path}", namespace).policy(document) for document in found]


class _Reader:
    def __init__(self, file: str, namespace: str) -> None:
        self._file = file
        self._namespace = namespace

    def _fail(self, where: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self._file}: {where}: {what}")

    def _fields(self, value: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._fail(where, f"is {value!r}, expected a mapping with {', '.join(known)}")
        for key in value:
            if key not in known:
                hint = did_you_mean(str(key), known) or f": expected one of {', '.join(known)}"
                raise self._fail(where, f"unknown key '{key}'{hint}")
        return value

    def policy(self, document: Any) -> Any:
        from jumpstarter_protocol import lab_pb2

        top = self._fields(document, "document", ("apiVersion", "kind", "metadata", "spec"))
        if top.get("kind") != KIND or top.get("apiVersion") != API_VERSION:
            raise self._fail("kind", f"expected apiVersion: {API_VERSION} and kind: {KIND}")
        metadata = self._fields(
            top.get("metadata"),
            "metadata",
            ("name", "namespace", "labels", "annotations", "creationTimestamp", "uid"),
        )
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise self._fail("metadata.name", "is missing")
        spec = self._fields(top.get("spec"), "spec", ("exporterSelector", "policies"))
        rules = spec.get("policies") or []
        if not isinstance(rules, list):
            raise self._fail("spec.policies", "expected a list")
        return lab_pb2.Policy(
            namespace=str(metadata.get("namespace") or self._namespace),
            name=name,
            exporter_selector=self._selector(spec.get("exporterSelector"), "spec.exporterSelector"),
            rules=[self._rule(rule, f"spec.policies[{number}]") for number, rule in enumerate(rules)],
        )

    def _rule(self, value: Any, where: str) -> Any:
        from jumpstarter_protocol import lab_pb2

        known = ("description", "priority", "from", "maximumDuration", "spotAccess")
        fields = self._fields(value, where, known)
        origins = fields.get("from") or []
        if not isinstance(origins, list):
            raise self._fail(f"{where}.from", "expected a list of clientSelector")
        priority, spot = fields.get("priority", 0), fields.get("spotAccess", False)
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise self._fail(f"{where}.priority", f"is {priority!r}, expected a whole number")
        if not isinstance(spot, bool):
            raise self._fail(f"{where}.spotAccess", f"is {spot!r}, expected true or false")
        rule = lab_pb2.PolicyRule(
            description=str(fields.get("description") or ""),
            priority=priority,
            spot_access=spot,
            client_selectors=[self._origin(item, f"{where}.from[{n}]") for n, item in enumerate(origins)],
        )
        if fields.get("maximumDuration") is not None:
            try:
                rule.maximum_duration.FromTimedelta(parse_duration(fields["maximumDuration"]))
            except ArgumentError as error:
                raise self._fail(f"{where}.maximumDuration", str(error)) from None
        return rule

    def _origin(self, value: Any, where: str) -> str:
        fields = self._fields(value, where, ("clientSelector",))
        return self._selector(fields.get("clientSelector"), f"{where}.clientSelector")

    def _selector(self, value: Any, where: str) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        fields = self._fields(value, where, ("matchLabels", "matchExpressions"))
        labels = fields.get("matchLabels") or {}
        if not isinstance(labels, dict):
            raise self._fail(f"{where}.matchLabels", "expected a mapping of labels")
        parts = [f"{key}={item}" for key, item in labels.items()]
        expressions = fields.get("matchExpressions") or []
        if not isinstance(expressions, list):
            raise self._fail(f"{where}.matchExpressions", "expected a list")
        parts += [
            self._expression(item, f"{where}.matchExpressions[{n}]") for n, item in enumerate(expressions)
        ]
        try:
            return str(Selector.parse(",".join(parts)))
        except ConfigurationError as error:
            raise self._fail(where, str(error)) from None

    def _expression(self, value: Any, where: str) -> str:
        fields = self._fields(value, where, ("key", "operator", "values"))
        operator = _OPERATORS.get(str(fields.get("operator")))
        if operator is None:
            raise self._fail(f"{where}.operator", f"expected one of {', '.join(_OPERATORS)}")
        values = frozenset(map(str, fields.get("values") or ()))
        return str(Requirement(str(fields.get("key")), operator, values))
