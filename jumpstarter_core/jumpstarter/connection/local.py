"""Exporters that run in the process that asks for them: those of the user's files, and the simulated board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jumpstarter.common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from jumpstarter.config.client import ClientConfigV1Alpha1
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

#: The alias of the simulated board, unless a file of the user has it.
SIMULATED: Final = "simulated"


def exporter_config(alias: str) -> ExporterConfigV1Alpha1:
    """The configuration of the exporter *alias*. Raises FileNotFoundError with the nearest alias, ConfigurationError."""
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.config.files import EXPORTERS

    if alias == SIMULATED and EXPORTERS.find(alias) is None:
        return simulated_board()
    return ExporterConfigV1Alpha1.load(alias)


def simulated_board() -> ExporterConfigV1Alpha1:
    """The configuration of the simulated board that comes with the product."""
    from jumpstarter_driver_simulated.builtin import exporter_config as path

    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    return ExporterConfigV1Alpha1.load_path(path())


def select_local(selector: str) -> str:
    """The alias of the one exporter file whose labels *selector* selects. Raises ConfigurationError unless there is one."""
    from jumpstarter.common.selectors import Selector
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1

    wanted = Selector.parse(selector)
    known = [item for item in ExporterConfigV1Alpha1.list().items if item.metadata.labels]
    found = [item.alias for item in known if wanted.selects(item.metadata.labels)]
    if len(found) == 1:
        return found[0]
    told = f"{', '.join(found)} have them" if found else "no exporter file has these labels"
    raise ConfigurationError(
        f"selector {selector}: no client of a lab is configured, and {told}; log in with 'jmp login', name an exporter with "
        "--exporter NAME, or give it labels (metadata.labels in its file)"
    )


def lab_client() -> ClientConfigV1Alpha1 | None:
    """The configuration of the client that commands use; None where there is none, or it names no controller and has no token.

    Raises what `resolve_client_config` does for one that is there and not valid, ConfigurationError for half of one.
    """
    from jumpstarter.config.client import NoClientConfiguration, resolve_client_config
    from jumpstarter.connection.controller import require_controller

    try:
        config = resolve_client_config()
    except NoClientConfiguration:
        return None
    if not (config.endpoint or config.token):
        return None
    require_controller(config)
    return config
