"""Which exporter `Connect To Exporter` means: a pure decision, with the reason for it.

In this order:

1. what the arguments name: ``exporter=``, ``config=`` or ``host=``;
2. the exporter of the surrounding ``jmp shell`` (JUMPSTARTER_HOST);
3. with ``lease=``, ``name=``, ``client=`` or ``duration=``, an exporter leased from the lab;
4. with ``selector=``, where a client is configured: an exporter leased from the lab;
5. the lease that JMP_LEASE names, else the oldest of `Create Lease` that is free;
6. the exporter that ``jmp local start`` has started;
7. with ``selector=``, the one local exporter that has these labels;
8. where a client is configured, its one active lease, else nothing;
9. the built-in local exporter.

In 3 and 4, unless ``lease=`` names one, a lease of `Create Lease` that fits and is free comes before any other: a
new one might wait for the board that the suite holds already. A lease is free while it lasts and no other
connection uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path

from jumpstarter.common.choices import check_labels, refuse_empty
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.selectors import Selector

Matches = Callable[[str, Mapping[str, str]], bool]
"""Whether a label selector selects labels; raises ConfigurationError for a selector that is not valid."""


class Where(Enum):
    """Where an exporter is found."""

    LOCAL = "local exporter"
    FILE = "configuration file"
    HOST = "host"
    SHELL = "surrounding jmp shell"
    BACKGROUND = "exporter of jmp local start"
    LEASE = "leased exporter"
    BUILT_IN = "built-in local exporter"


@dataclass(frozen=True)
class Request:
    """The arguments of `Connect To Exporter`. The last four are about leases that a controller gives."""

    exporter: str | None = None
    config: Path | None = None
    host: str | None = None
    selector: str | None = None
    name: str | None = None
    lease: str | None = None
    client: str | None = None
    duration: object | None = None

    def __post_init__(self) -> None:
        refuse_empty({f"{each.name}=": getattr(self, each.name) for each in fields(self)})

    @property
    def direct(self) -> dict[str, str]:
        """The arguments that name an exporter by themselves."""
        named = {"exporter": self.exporter, "config": self.config, "host": self.host}
        return {key: str(value) for key, value in named.items() if value is not None}

    @property
    def names_anything(self) -> bool:
        """Whether any argument says which exporter, or which lease, is meant."""
        return any(getattr(self, each.name) is not None for each in fields(self) if each.name != "duration")

    @property
    def leasing(self) -> dict[str, object]:
        """The arguments given that only a controller can serve."""
        named = {"name": self.name, "lease": self.lease, "client": self.client, "duration": self.duration}
        return {key: value for key, value in named.items() if value is not None}


@dataclass(frozen=True)
class Candidate:
    """A local exporter's configuration: *labels* is None where it says nothing about labels."""

    name: str
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Created:
    """A lease of `Create Lease`: what it was made for, and the exporter that it has.

    *same_client* is whether the client that connects has it, *busy* says why it is not free; "" while it is.
    """

    name: str
    made_for: Request
    exporter: str
    labels: Mapping[str, str] = field(default_factory=dict)
    same_client: bool = True
    busy: str = ""


@dataclass(frozen=True)
class Choice:
    """The exporter to connect to: *value* is its name, path or address, *reason* is for the log.

    *client* is the client configuration that has a lease, where the request names none.
    """

    where: Where
    value: str | None
    reason: str
    notes: tuple[str, ...] = ()
    client: str | None = None


def choose(
    request: Request,
    environ: Mapping[str, str],
    candidates: Callable[[], Sequence[Candidate]],
    matches: Matches,
    background: Callable[[], Candidate | None] = lambda: None,
    lab: Callable[[], bool] = lambda: False,
    created: Callable[[], Sequence[Created]] = tuple,
    active: Callable[[], Sequence[str]] = tuple,
) -> Choice:
    """Decide. *candidates* is asked for the local exporters, *background* for the one that ``jmp local start`` has
    started (its name is its address), *lab* for whether a client is configured, *created* for the leases of `Create
    Lease`, oldest first, and *active* for all that the client has, only where they matter.

    Raises `ConfigurationError` when the arguments contradict each other, ask for what needs a controller, or
    select no exporter or more than one, or when nothing is asked for and no lease of `Create Lease` is free.
    """
    if len(request.direct) > 1:
        raise ConfigurationError(f"give one of {_arguments(request.direct)}, they name different exporters")
    if request.direct:
        return _named(request)
    if environ.get("JUMPSTARTER_HOST") is not None:
        return _surrounding(request, environ, matches)
    if (choice := _leased(request, environ, matches, lab, created, active)) is not None:
        return choice
    if (running := background()) is not None:
        if request.selector is not None:
            check_labels(request.selector, running.labels or {}, "the exporter of jmp local start")
        return Choice(Where.BACKGROUND, running.name, "jmp local start has started it")
    if request.selector is not None:
        return _selected(request.selector, candidates(), matches)
    if lab():
        return _only_active(active())
    return Choice(
        Where.BUILT_IN,
        None,
        "no exporter is named, no jmp shell surrounds this run, and no client is configured",
    )


def _leased(
    request: Request,
    environ: Mapping[str, str],
    matches: Matches,
    lab: Callable[[], bool],
    created: Callable[[], Sequence[Created]],
    active: Callable[[], Sequence[str]],
) -> Choice | None:
    """The choice of an exporter to lease; None when nothing asks for one."""
    if request.leasing and request.client is None and not lab():
        raise ConfigurationError(
            f"{_arguments(request.leasing)} asks a controller for a lease, and none is configured here; "
            "use exporter=, config= or host=, or run robot inside `jmp shell`"
        )
    if request.lease is not None:
        return Choice(Where.LEASE, request.lease, f"{_arguments(request.leasing)} asks for a lease")
    if request.leasing or (request.selector is not None and lab()):
        return _taken(request, created(), matches) or _new(request, active)
    named = environ.get("JMP_LEASE")
    refuse_empty({"JMP_LEASE": named})
    if named and named != "direct":
        return Choice(Where.LEASE, named, "JMP_LEASE names the lease")
    if request.selector is None and (leases := created()):
        return _oldest_free(leases)
    return None


def _only_active(leases: Sequence[str]) -> Choice:
    """The one lease that the client has. Raises ConfigurationError that lists them."""
    if len(leases) == 1:
        return Choice(Where.LEASE, leases[0], "it is the only active lease of the client")
    told = f"has {len(leases)} active leases ({', '.join(leases)})" if leases else "has no active lease"
    raise ConfigurationError(
        f"no exporter is named, and the configured client {told}: give selector=, name= or lease=, or exporter=simulated "
        "for a simulated board"
    )


def _new(request: Request, active: Callable[[], Sequence[str]]) -> Choice:
    if list(request.leasing) == ["client"] and request.selector is None:
        return _only_active(active())
    if request.name is None and request.selector is None:
        raise ConfigurationError(
            f"{_arguments(request.leasing)} does not say which exporter to lease: "
            "give selector=, name= or lease=, too"
        )
    if request.leasing:
        return Choice(Where.LEASE, None, f"{_arguments(request.leasing)} asks for a lease")
    return Choice(Where.LEASE, None, "selector= asks for a lease, and a client is configured")


def _taken(request: Request, created: Sequence[Created], matches: Matches) -> Choice | None:
    """The free lease of `Create Lease` that was made for *request*, else one whose exporter is what it asks for.

    One that was made for it comes first: another may be the only one that fits the next request.
    """
    free = [each for each in created if each.same_client and not each.busy]
    made = [each for each in free if _made_for(request, each)]
    for each in made or [each for each in free if _satisfies(request, each, matches)]:
        notes = () if request.duration is None else ("duration= has no effect: the lease exists already",)
        return Choice(Where.LEASE, each.name, "`Create Lease` made the lease, and it fits", notes)
    return None


def _made_for(request: Request, lease: Created) -> bool:
    if request.name != lease.made_for.name:
        return False
    return Selector.parse(request.selector or "") == Selector.parse(lease.made_for.selector or "")


def _satisfies(request: Request, lease: Created, matches: Matches) -> bool:
    return request.name in (None, lease.exporter) and matches(request.selector or "", lease.labels)


def _oldest_free(created: Sequence[Created]) -> Choice:
    for each in created:
        if not each.busy:
            reason = "`Create Lease` made the lease"
            return Choice(Where.LEASE, each.name, reason, client=each.made_for.client)
    told = ", ".join(f"{each.name} {each.busy}" for each in created)
    raise ConfigurationError(
        f"no lease of `Create Lease` is free ({told}): say which exporter is meant, with lease= for one of these, "
        "selector= or name= for another"
    )


def _named(request: Request) -> Choice:
    ((key, value),) = request.direct.items()
    if request.leasing:
        raise ConfigurationError(
            f"{_arguments(request.leasing)} is about a lease, {key}= is an exporter without one"
        )
    where = {"exporter": Where.LOCAL, "config": Where.FILE, "host": Where.HOST}[key]
    notes = (
        () if request.selector is None else (f"selector {request.selector} is not checked: {key}= decides",)
    )
    return Choice(where, value, f"{key}= names it", notes)


def _surrounding(request: Request, environ: Mapping[str, str], matches: Matches) -> Choice:
    refuse_empty({"JUMPSTARTER_HOST": environ["JUMPSTARTER_HOST"]})
    notes: list[str] = []
    for argument, wanted, variable in (
        ("name", request.name, "JMP_EXPORTER"),
        ("lease", request.lease, "JMP_LEASE"),
    ):
        known = environ.get(variable)
        if wanted is not None and known and known != wanted:
            raise ConfigurationError(
                f"{argument}={wanted} was asked for, the surrounding jmp shell has {known} ({variable})"
            )
        if wanted is not None and not known:
            notes.append(f"{argument}={wanted} is not checked: {variable} is not set")
    for argument in ("client", "duration"):
        if request.leasing.get(argument) is not None:
            notes.append(f"{argument}= has no effect: the surrounding jmp shell holds the exporter")
    if request.selector is not None:
        notes += _check_selector(request.selector, environ.get("JMP_EXPORTER_LABELS"), matches)
    return Choice(Where.SHELL, environ["JUMPSTARTER_HOST"], "a jmp shell surrounds this run", tuple(notes))


def _check_selector(selector: str, labels: str | None, matches: Matches) -> list[str]:
    if not labels:
        matches(selector, {})  # whether it is valid can be told
        return [f"selector {selector} is not checked: the exporter's labels are not known here"]
    if not matches(selector, parse_labels(labels)):
        raise ConfigurationError(
            f"selector {selector} does not select the surrounding jmp shell's exporter ({labels})"
        )
    return []


def _selected(selector: str, candidates: Sequence[Candidate], matches: Matches) -> Choice:
    selected = [c for c in candidates if c.labels is not None and matches(selector, c.labels)]
    reason = f"the only local exporter that has labels {selector}"
    if len(selected) == 1:
        return Choice(Where.LOCAL, selected[0].name, reason)
    names = ", ".join(c.name for c in selected)
    found = (
        f"{len(selected)} local exporters may be meant ({names})"
        if selected
        else "no local exporter has these labels"
    )
    raise ConfigurationError(
        f"selector {selector}: {found}, and no client of a lab is configured; use exporter=NAME, run robot inside "
        "`jmp shell`, or give an exporter labels (metadata.labels in its file)"
    )


def parse_labels(text: str) -> dict[str, str]:
    """Labels as JMP_EXPORTER_LABELS has them: ``key=value,key=value``."""
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _arguments(named: Mapping[str, object]) -> str:
    return ", ".join(f"{key}=" for key in named)
