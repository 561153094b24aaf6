"""Shell completion by what the lab has: exporters, their labels, leases. The lab is asked for a moment only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Seconds that the lab has to answer, while somebody waits with a finger on the key.
PATIENCE: Final = 3.0


def complete_exporter(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of exporters."""
    return _complete(ctx, incomplete, lambda lab: (each.name for each in lab.list_exporters()))


def complete_lease(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the client's leases."""
    return _complete(
        ctx, incomplete, lambda lab: (each.name for each in lab.list_leases() if each.client == lab.name)
    )


def complete_selector(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Labels that exporters have; the last of several with commas."""
    before, comma, last = incomplete.rpartition(",")
    taken = {part.partition("=")[0] for part in before.split(",")}

    def labels(lab: Any) -> Iterable[str]:
        pairs = {
            f"{key}={value}"
            for each in lab.list_exporters()
            for key, value in each.labels.items()
            if key not in taken
        }
        return (f"{before}{comma}{pair}" for pair in sorted(pairs) if pair.startswith(last))

    return _complete(ctx, incomplete, labels)


def _complete(
    ctx: click.Context, incomplete: str, names: Callable[[Any], Iterable[str]]
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in _asked(ctx, names) if name.startswith(incomplete)]


def _asked(ctx: click.Context, names: Callable[[Any], Iterable[str]]) -> list[str]:
    """What *names* says of the lab; nothing where it does not answer at once: the line that is typed is no place for errors."""
    import threading

    from .lab import lab_of

    found: list[str] = []

    def ask() -> None:
        try:
            with lab_of(ctx.params.get("client"), ctx.params.get("client_config")) as (lab, _):
                found.extend(names(lab))
        except Exception:  # noqa: BLE001 - whatever it is, there is nothing to offer
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return list(found)
