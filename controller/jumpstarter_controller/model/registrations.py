"""What an exporter may register: bounds that no board reaches, so that one exporter cannot fill the lab's memory and lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from .errors import InvalidRequest
from .names import RESERVED_PREFIX, check_labels

MAX_DRIVERS: Final = 1024
#: Of one driver: its labels, and the commands that it has help texts for.
MAX_DRIVER_LABELS: Final = 32
MAX_METHODS: Final = 512
#: Characters of a uuid or the name of a label or method, of a label's value, of a help text.
MAX_NAME: Final = 317
MAX_VALUE: Final = 1024
MAX_TEXT: Final = 65_536
#: Characters of all that is kept of the drivers: their uuids and labels.
MAX_KEPT: Final = 512 * 1024
#: Characters of what an exporter says about its state; what is longer is cut.
MAX_MESSAGE: Final = 4096


class Report(Protocol):
    """A driver, as its exporter describes it."""

    @property
    def uuid(self) -> str: ...
    @property
    def parent_uuid(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def description(self) -> str: ...
    @property
    def methods_description(self) -> Mapping[str, str]: ...


def check_registration(labels: Mapping[str, str], reports: Sequence[Report]) -> None:
    """Refuse what no exporter needs.

    Raises:
        InvalidRequest: too many labels, drivers or methods, a label that is none, or a text that is too long. Says which.
    """
    check_labels({key: value for key, value in labels.items() if key.startswith(RESERVED_PREFIX)})
    _check_count("labels", len(labels), 4 * MAX_DRIVER_LABELS)
    _check_count("drivers", len(reports), MAX_DRIVERS)
    for report in reports:
        _check_driver(report)
    kept = sum(len(text) for report in reports for item in report.labels.items() for text in item)
    _check_count("characters of labels of drivers", kept, MAX_KEPT)


def shortened(message: str) -> str:
    """*message*, cut at `MAX_MESSAGE`: what it tells must not be lost since there is too much of it."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."


def _check_driver(report: Report) -> None:
    name = f"driver '{report.labels.get('jumpstarter.dev/name', report.uuid)[:80]}'"
    _check_count(f"labels of {name}", len(report.labels), MAX_DRIVER_LABELS)
    _check_count(f"methods of {name}", len(report.methods_description), MAX_METHODS)
    names = (report.uuid, report.parent_uuid, *report.labels, *report.methods_description)
    _check_texts(f"a name of {name}", names, MAX_NAME)
    _check_texts(f"a label of {name}", report.labels.values(), MAX_VALUE)
    texts = (report.description, *report.methods_description.values())
    _check_texts(f"a help text of {name}", texts, MAX_TEXT)


def _check_count(what: str, found: int, maximum: int) -> None:
    if found > maximum:
        raise InvalidRequest(f"{found} {what} are too many, expected at most {maximum}")


def _check_texts(what: str, texts: Iterable[str], maximum: int) -> None:
    for text in texts:
        if len(text) > maximum:
            raise InvalidRequest(f"{what} has {len(text)} characters, expected at most {maximum}")
