"""What the commands of ``jmp admin`` have in common: where the controller is, who asks, how objects are shown.

On the machine of the controller nothing needs to be said: its data directory holds the address, the certificate and the
administrator's token. Elsewhere --endpoint, --token-file and --ca say it, or JMP_ADMIN_ENDPOINT, JMP_ADMIN_TOKEN_FILE (or
JMP_ADMIN_TOKEN) and JMP_ADMIN_CA.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter.common.pem import certificates
from jumpstarter.common.tokens import read_token
from jumpstarter.config.env import chosen
from jumpstarter.config.token import token_problem

from .lab import check_address
from .output import data, table

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_ENDPOINT: Final = "localhost:8082"
GROUP: Final = "jumpstarter.dev"
API_VERSION: Final = f"{GROUP}/v1alpha1"
CALL_TIMEOUT: Final = 30.0


@dataclass(frozen=True)
class Access:
    """What the options of every command say; None where they say nothing."""

    chosen_namespace: str | None
    endpoint: str | None
    data_dir: Path | None
    token_file: Path | None
    ca: Path | None

    @property
    def namespace(self) -> str:
        """The namespace to use: the one that was given, else the administrator's."""
        return self.chosen_namespace or self.own_namespace

    @property
    def own_namespace(self) -> str:
        """The administrator's."""
        return self._identity()[0]

    def _identity(self) -> tuple[str, str]:
        """(namespace, name) of the administrator, from the token."""
        claims = read_token(self.token())
        identity = claims.identity if claims is not None else None
        return (identity[1], identity[2]) if identity is not None else (DEFAULT_NAMESPACE, "admin")

    @property
    def name(self) -> str:
        """The administrator's name."""
        return self._identity()[1]

    @property
    def directory(self) -> Path:
        """The controller's data directory on this machine, which may not exist."""
        if self.data_dir is not None:
            return self.data_dir
        base = os.environ.get("XDG_STATE_HOME")
        home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
        return home / "jumpstarter" / "controller"

    def token(self) -> str:
        """The administrator's token. Raises ConfigurationError when there is none."""
        if self.token_file is None and (token := chosen("JMP_ADMIN_TOKEN")):
            return _checked_token(token, "JMP_ADMIN_TOKEN")
        path = self.token_file or self.directory / "admin.token"
        try:
            return _checked_token(path.read_text(errors="replace"), str(path))
        except FileNotFoundError:
            raise ConfigurationError(
                f"no administrator token: {path} does not exist; run this as the user and on the machine of "
                "'jmp controller run', or copy its admin.token and name it with --token-file"
            ) from None
        except OSError as error:
            raise FileAccessError(
                f"{path}: {error.strerror}: this is the administrator token's file"
            ) from None

    def address(self) -> str:
        """HOST:PORT of the controller."""
        return self.endpoint or _read(self.directory / "endpoint") or DEFAULT_ENDPOINT

    def certificate(self) -> bytes | None:
        """The certificate (PEM) to trust; None for those of the system."""
        if self.ca is not None:
            try:
                text = self.ca.read_bytes()
            except OSError as error:
                raise FileAccessError(f"{self.ca}: {error.strerror} (--ca)") from None
            return certificates(text, f"{self.ca} (--ca)")
        # The second one is that of a controller before it wrote down which certificate counts.
        own = _read(self.directory / "authority.pem") or _read(self.directory / "ca" / "ca.pem")
        return own.encode() if own else None


def _checked_token(text: str, source: str) -> str:
    token = text.strip()
    if problem := token_problem(token):
        raise ConfigurationError(f"{source}: this is no token of an administrator: {problem}")
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def admin_options(command: F) -> F:
    """The options that say which controller, as the argument ``access``."""

    def collect(ctx: click.Context, **values: Any) -> Any:
        keys = ("endpoint", "data_dir", "token_file", "ca")
        for variable in ("JMP_ADMIN_ENDPOINT", "JMP_ADMIN_TOKEN_FILE", "JMP_ADMIN_CA"):
            chosen(variable)  # click takes one that is empty for one that is not set
        access = Access(values.pop("namespace"), **{key: values.pop(key) for key in keys})
        for key in ("kubeconfig", "context"):
            if values.pop(key):
                raise click.UsageError(
                    f"--{key} is about a Kubernetes cluster, and this lab has none: leave it out.", ctx
                )
        return ctx.invoke(command, access=access, **values)

    wrapped: Any = click.pass_context(collect)
    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    wrapped.__click_params__ = list(getattr(command, "__click_params__", []))
    path = click.Path(path_type=Path)
    for option in (
        click.option("-n", "--namespace", help="Namespace to use; without it, the administrator's."),
        click.option(
            "--endpoint",
            envvar="JMP_ADMIN_ENDPOINT",
            metavar="HOST:PORT",
            callback=check_address,
            help="Address of the controller.",
        ),
        click.option(
            "--data-dir", metavar="DIR", type=path, help="The controller's data directory, on its machine."
        ),
        click.option(
            "--token-file",
            envvar="JMP_ADMIN_TOKEN_FILE",
            metavar="FILE",
            type=path,
            help="Administrator token.",
        ),
        click.option(
            "--ca", envvar="JMP_ADMIN_CA", metavar="FILE", type=path, help="Certificate (PEM) to trust."
        ),
        click.option("--kubeconfig", hidden=True),
        click.option("--context", hidden=True),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


class Admin:
    """Calls of AdminService. Raises LeaseError or ConnectionError with the controller's reason."""

    def __init__(self, stub: Any, access: Access, token: str) -> None:
        from jumpstarter.config.grpc import identity

        self.access = access
        self._stub = stub
        # The namespace of the token: what another one is asked about is told by the controller.
        self._metadata = identity("Administrator", access.own_namespace, access.name, token)

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        call = getattr(self._stub, method)

        def ask(request: Any) -> Any:
            import grpc
            from jumpstarter.client.lab import controller_error

            try:
                return call(request, metadata=self._metadata, timeout=CALL_TIMEOUT)
            except grpc.RpcError as error:
                raise controller_error(error, self.access.address()) from None

        return ask


@contextmanager
def administrator(access: Access) -> Iterator[Admin]:
    """The controller of *access*, for an administrator."""
    import grpc
    from jumpstarter.common.grpc import secure_channel
    from jumpstarter_protocol import lab_pb2_grpc

    token = access.token()
    credentials = grpc.ssl_channel_credentials(access.certificate())
    # Lists of administrators come in one piece.
    options = {"grpc.max_receive_message_length": -1}
    with secure_channel(access.address(), credentials, options) as channel:
        yield Admin(lab_pb2_grpc.AdminServiceStub(channel), access, token)  # type: ignore[no-untyped-call]


def ask_confirmation(question: str, *, interactive: bool) -> bool:
    """The user's answer; no, where nobody can be asked."""
    return interactive and sys.stdin.isatty() and click.confirm(question, err=True)


#: What `-o name` calls the kinds whose commands have another name.
_RESOURCES: Final = {"policy": "exporteraccesspolicy"}


def resource(kind: str, name: str) -> str:
    """What `-o name` prints of an object of the command *kind*: ``client.jumpstarter.dev/NAME``."""
    return f"{_RESOURCES.get(kind, kind)}.{GROUP}/{name}"


def plain_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """NAME, also where it is written as `-o name` prints it. Raises click.BadParameter for an object of another kind."""
    kind, slash, name = (value or "").partition("/")
    if not slash:
        return value
    wanted = resource(ctx.command.name or "", "").partition("/")[0]
    if kind != wanted or not name:
        raise click.BadParameter(
            f"'{value}' is none of this kind: expected NAME, or {wanted}/NAME", ctx, param
        )
    return name


def name_argument(command: F) -> F:
    """The argument NAME: asked for on a terminal where it is left out, and never empty."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
        if value is None and sys.stdin.isatty() and not ctx.params.get("nointeractive"):
            value = click.prompt("Name", err=True)
        if value is None or not value.strip():
            raise click.MissingParameter(ctx=ctx, param=param)
        return plain_name(ctx, param, value) or value

    # Looked at after the options, of which --nointeractive is one: click takes those that are required first.
    return click.argument("name", required=False, metavar="NAME", callback=check)(command)


def file_option(kinds: str) -> Callable[[F], F]:
    """The option ``-f/--filename``, as parameter ``path``: a file of objects of these *kinds*."""
    return click.option(
        "-f",
        "--filename",
        "path",
        required=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"YAML of kind {kinds}; - reads standard input.",
    )


def show(objects: Sequence[Mapping[str, Any]], kind: str, output: str | None, *, single: bool) -> bool:
    """Print *objects* as *output* says; False when it says nothing, and the caller prints a table."""
    if output == "name":
        for item in objects:
            click.echo(resource(kind.lower(), item["metadata"]["name"]))
    elif output is not None and single:
        click.echo(data(objects[0], output))
    elif output is not None:
        click.echo(data({"apiVersion": API_VERSION, "items": list(objects), "kind": f"{kind}List"}, output))
    return output is not None


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], namespace: str) -> None:
    """Print a table, or that there is nothing in *namespace*."""
    click.echo(table(headings, rows) if rows else f"No resources found in {namespace} namespace.")


def age(moment: datetime | None) -> str:
    """How long ago, as short as administrators read it: ``3d4h``, ``12m``."""
    if moment is None:
        return ""
    seconds = max(int((datetime.now(UTC) - moment).total_seconds()), 0)
    parts = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    found = []
    for size, unit in parts:
        count, seconds = divmod(seconds, size)
        if count:
            found.append(f"{count}{unit}")
    return "".join(found[:2]) or "0s"


def no_cluster(what: str) -> NoReturn:
    """Refuse what only makes sense with Kubernetes."""
    raise ConfigurationError(
        f"{what} is about Kubernetes clusters, and a lab here needs none: 'jmp controller run' starts one"
    )
