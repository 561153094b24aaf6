"""``jmp config validate``: what is wrong with a config file, before anything uses it."""

from __future__ import annotations

from pathlib import Path

import click

from jumpstarter_cli.exporters import exporter_option


@click.command
@click.argument("file", required=False, type=click.Path())
@exporter_option
@click.option("--client", metavar="NAME", help="Alias of client config")
def validate(file: str | None, exporter: str | None, client: str | None) -> None:
    """Check a config file, report every problem.

    FILE is an exporter config, or a client or user config if its `kind` says so. Driver classes are imported
    and their config is checked, but no driver is made and no device is touched.
    """
    if sum(map(bool, (file, exporter, client))) != 1:
        raise click.UsageError("Specify one of FILE, --exporter and --client.", click.get_current_context())
    from jumpstarter.config.client import ClientConfigV1Alpha1
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1
    from jumpstarter.config.reading import CLIENT_KINDS, USER_KINDS
    from jumpstarter.config.user import UserConfigV1Alpha1

    config: ClientConfigV1Alpha1 | ExporterConfigV1Alpha1
    if client:
        config = ClientConfigV1Alpha1.load(client)
    elif exporter:
        config = ExporterConfigV1Alpha1.load(exporter)
    elif (kind := _kind(Path(file or ""))) in USER_KINDS:
        UserConfigV1Alpha1.from_file(file or "")
        click.echo(f"{file}: valid {kind}")
        return
    elif kind in CLIENT_KINDS:
        config = ClientConfigV1Alpha1.from_file(file or "")
    else:
        config = ExporterConfigV1Alpha1.load_path(file or "")
    click.echo(f"{config.path}: valid {config.kind}")


def _kind(path: Path) -> str:
    """The kind that the file says it is; anything but a client's or a user's is judged as an exporter's."""
    from jumpstarter.config.loader import Problems, parse_yaml

    try:
        root = parse_yaml(path.read_text(encoding="utf-8"), Problems(str(path)))
    except (OSError, UnicodeDecodeError):
        return ""  # said better by the reader of exporter configs
    kind = root.get("kind") if root is not None and root.is_mapping else None
    return str(kind.value) if kind is not None else ""
