"""The exporters that commands run in their own process: configured ones, and the built-in simulated board."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.session import Session

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ExporterSource:
    """What to export, under which name."""

    name: str
    config: ExporterConfigV1Alpha1

    @property
    def path(self) -> str:
        """The file that the config was read from."""
        return str(self.config.path)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the file gives it."""
        return self.config.metadata.labels


def resolve(*, exporter: str | None, path: str | None) -> ExporterSource:
    """The exporter with alias *exporter*, or that in file *path*, or with neither the built-in one.

    Raises:
        FileNotFoundError, FileAccessError, ConfigurationError: the config is missing, unreadable or wrong.
    """
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.connection.local import exporter_config, simulated_board

    if exporter:
        return ExporterSource(exporter, exporter_config(exporter))
    config = ExporterConfigV1Alpha1.load_path(path) if path else simulated_board()
    return ExporterSource(config.metadata.name, config)


@contextmanager
def open_session(source: ExporterSource) -> Iterator[Session]:
    """Make the exporter's drivers and a session for them; both are closed at the end."""
    from jumpstarter.session import Session

    config = source.config
    with Session(
        root_device=config.instantiate(),
        motd=config.motd or "",
        fetch_policy=config.fetch_policy,
        identity=f"{source.path} {source.name}",
    ) as session:
        yield session


@contextmanager
def serving(source: ExporterSource) -> Iterator[str]:
    """Serve the exporter on a unix socket, ready for driver calls; yields the socket's path."""
    from jumpstarter.connection import local_session

    config = source.config
    # Its clients are programs of this user on this machine: they can fetch what they like by themselves.
    policy = config.fetch and config.fetch.policy
    with local_session(config.instantiate(), motd=config.motd or "", fetch_policy=policy) as socket:
        logging.getLogger("jumpstarter.exporter").info("exporter '%s' serves on %s", source.name, socket)
        yield socket


def complete_alias(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shell completion for the alias of an exporter config."""
    from click.shell_completion import CompletionItem
    from jumpstarter.config.files import EXPORTERS
    from jumpstarter.connection.local import SIMULATED

    aliases = sorted({*EXPORTERS.aliases(), SIMULATED})
    return [CompletionItem(alias) for alias in aliases if alias.startswith(incomplete)]


def exporter_option(command: F) -> F:
    """The ``--exporter`` option."""
    return click.option(
        "--exporter",
        metavar="NAME",
        help="Alias of exporter config, or simulated",
        shell_complete=complete_alias,
    )(command)


def exporter_config_option(command: F) -> F:
    """The ``--exporter-config`` option."""
    return click.option(
        "--exporter-config", metavar="FILE", type=click.Path(), help="Path of exporter config"
    )(command)
