"""The ``j`` commands of a storage. Results go to standard output: text, bytes, or JSON for records."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.common.printable import printable_line

if TYPE_CHECKING:
    from .client import OpendalClient

__all__ = ["opendal_commands"]

_DONE = "ok"

_path = click.argument("path")
_expire = click.option(
    "--expire-second",
    type=click.IntRange(min=1),
    default=3600,
    show_default=True,
    help="Seconds until the request is refused.",
)


def _shown(entry: str) -> str:
    """A name as it is for programs; with its control characters as text for people."""
    return printable_line(entry) if sys.stdout.isatty() else entry


def opendal_commands(client: OpendalClient) -> click.Group:
    """The group of all commands."""

    @driver_click_group(client)
    def base() -> None:
        """Generic storage"""

    _add_transfers(base, client)
    _add_changes(base, client)
    _add_questions(base, client)
    _add_presigning(base, client)
    return base


def _add_transfers(base: click.Group, client: OpendalClient) -> None:
    @base.command()
    @_path
    @click.argument("text", required=False)
    def write_bytes(path: str, text: str | None) -> None:
        """Write TEXT, or standard input, to PATH"""
        data = sys.stdin.buffer.read() if text is None else text.encode()
        client.write_bytes(path, data)
        click.echo(_DONE)

    @base.command()
    @_path
    def read_bytes(path: str) -> None:
        """Print the content of PATH"""
        click.echo(client.read_bytes(path), nl=False)

    @base.command()
    @click.argument("dst")
    @click.argument("src")
    def write_from_path(dst: str, src: str) -> None:
        """Write local file or http(s) URL SRC to DST"""
        client.write_from_path(dst, src)
        click.echo(_DONE)

    @base.command()
    @click.argument("src")
    @click.argument("dst", type=click.Path(dir_okay=False))
    def read_into_path(src: str, dst: str) -> None:
        """Read SRC into the local file DST"""
        client.read_into_path(src, dst)
        click.echo(_DONE)


def _add_changes(base: click.Group, client: OpendalClient) -> None:
    @base.command()
    @click.argument("source")
    @click.argument("target")
    def copy(source: str, target: str) -> None:
        """Copy SOURCE to TARGET"""
        client.copy(source, target)
        click.echo(_DONE)

    @base.command()
    @click.argument("source")
    @click.argument("target")
    def rename(source: str, target: str) -> None:
        """Rename SOURCE to TARGET"""
        client.rename(source, target)
        click.echo(_DONE)

    @base.command()
    @_path
    def remove_all(path: str) -> None:
        """Remove PATH and everything below it"""
        client.remove_all(path)
        click.echo(_DONE)

    @base.command()
    @_path
    def create_dir(path: str) -> None:
        """Create the directory PATH/"""
        client.create_dir(path)
        click.echo(_DONE)

    @base.command()
    @_path
    def delete(path: str) -> None:
        """Delete PATH"""
        client.delete(path)
        click.echo(_DONE)


def _add_questions(base: click.Group, client: OpendalClient) -> None:
    @base.command()
    @_path
    def stat(path: str) -> None:
        """Print what the storage knows of PATH, as JSON"""
        click.echo(client.stat(path).model_dump_json(indent=2))

    @base.command("hash")
    @_path
    @click.option("--algo", type=click.Choice(["md5", "sha256"]), default="sha256", show_default=True)
    def hash_(path: str, algo: Literal["md5", "sha256"]) -> None:
        """Print the digest of the content of PATH"""
        click.echo(client.hash(path, algo))

    @base.command()
    @_path
    def exists(path: str) -> None:
        """Print whether PATH exists: true or false"""
        click.echo(str(client.exists(path)).lower())

    @base.command("list")
    @_path
    def list_(path: str) -> None:
        """Print the entries of the directory PATH/"""
        for entry in client.list(path):
            click.echo(_shown(entry))

    @base.command()
    @_path
    def scan(path: str) -> None:
        """Print all entries below the directory PATH/"""
        for entry in client.scan(path):
            click.echo(_shown(entry))

    @base.command()
    def capability() -> None:
        """Print what the storage can do, as JSON"""
        click.echo(json.dumps(asdict(client.capability()), indent=2))


def _add_presigning(base: click.Group, client: OpendalClient) -> None:
    def add(name: str, verb: str) -> None:
        @base.command(name, help=f"Print a request to {verb} PATH, as JSON")
        @_path
        @_expire
        def command(path: str, expire_second: int) -> None:
            request = getattr(client, name.replace("-", "_"))(path, expire_second)
            click.echo(request.model_dump_json(indent=2))

    add("presign-stat", "stat")
    add("presign-read", "read")
    add("presign-write", "write")
