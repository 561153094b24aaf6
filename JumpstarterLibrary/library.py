"""The library class: what Robot imports, what it listens to, and the keywords that are always there."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from jumpstarter.common.end_reason import end_reason
from jumpstarter.common.interrupts import Shield
from robot.api import TypeInfo, logger
from robot.api.deco import keyword
from robot.api.types import Secret
from robot.libraries.BuiltIn import BuiltIn, RobotNotRunningError
from robotlibcore import DynamicCore
from robotlibcore.keywords import KeywordSpecification

from ._connection import (
    active_leases,
    background_exporter,
    connect,
    lab_is_configured,
    local_candidates,
    selector_matches,
    to_console,
)
from .aliases import Aliases
from .arguments import usage
from .conversion import check_bool, time_text
from .driver_keyword import DriverKeyword
from .errors import as_text
from .last_words import end_consoles, note_in_suite, warn_of_unlogged
from .leases import LeaseKeywords
from .selection import Choice, Request, Where, choose
from .session import ExporterInfo, Session
from .standard import standard_names
from .timeouts import DEFAULT, Scope, Timeouts
from .version import VERSION


class JumpstarterLibrary(DynamicCore):
    """Drives real and virtual hardware through a Jumpstarter exporter.

    `Connect To Exporter` gives a suite one keyword for every method that the exporter's drivers offer, named
    after their place in the exporter and the method: ``Power On``, ``Serial Read Until``,
    ``Storage Write Local File``. Where the method begins with a verb the keyword can be written verb first
    too: ``Read Serial Until``. `List Driver Keywords` lists them.

    | *** Settings ***
    | Library    JumpstarterLibrary
    |
    | *** Test Cases ***
    | Device Boot Test
    |     Connect To Exporter    selector=vendor=acme,model=widget-v2
    |     Power On
    |     ${output}=    Read Serial Until    boot complete
    |     Should Not Be Empty    ${output}
    |     Power Off

    Importing the library connects to nothing, so libdoc, editors and dry runs need no hardware. Drivers'
    keywords exist once an exporter is connected; a dry run knows only those documented here, of which
    `Call Driver Method` reaches every driver.

    For several boards give each connection an ``alias``, which its keywords begin with:

    | Connect To Exporter    selector=model=widget-v2    alias=left
    | Connect To Exporter    selector=model=widget-v3    alias=right
    | Left Power On
    | Right Power On

    Or import the library twice with different names *and* different arguments, such as ``timeout``.

    = Leases =

    Where a client of a lab is configured (``jmp login``), ``selector`` and ``name`` lease an exporter for as long
    as it is connected: the lease is extended meanwhile, and released with the connection, at the end of the run,
    when the run fails and on Ctrl-C. While an exporter is waited for, the console says why.

    Where ``lease`` names none, `Connect To Exporter` looks at the leases of `Create Lease` that are free: that have
    not ended, and that no connection under another alias uses. With ``selector`` or ``name`` it takes the oldest
    that the same client has made for the same, else the oldest of that client whose exporter is what is asked for;
    if none is, the lease of JMP_LEASE or ``jmp create lease`` if it fits, else a new one. With no arguments it takes
    the lease of JMP_LEASE, else the oldest of `Create Lease`, and fails if none of those is free.

    An exporter that this library holds itself is not waited for, as that would never end: where all that fit are
    connected under other aliases or leased by `Create Lease`, `Connect To Exporter` and `Create Lease` fail at once.
    """

    ROBOT_LIBRARY_SCOPE = "GLOBAL"
    ROBOT_LIBRARY_VERSION = VERSION
    ROBOT_LIBRARY_DOC_FORMAT = "ROBOT"
    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, timeout: timedelta | str = DEFAULT) -> None:
        """The library is imported without connecting to anything.

        Args:
            timeout: How long keywords wait that are not told; `Set Jumpstarter Timeout` changes it.
        """
        self._sessions = Aliases()
        self._leases = LeaseKeywords(self._sessions)
        self._driver_keywords: set[str] = set()
        self._timeouts = Timeouts(_imported_with(timeout))
        super().__init__([self._leases])
        # A driver's method may have arguments of these names, too.
        self.keywords_spec["Call Driver Method"].argument_specification.insert(2, "/")
        self._own_keywords = frozenset(self.keywords)

    # Keywords

    @keyword(name="Connect To Exporter")
    def connect_to_exporter(
        self,
        *,
        selector: str | None = None,
        exporter: str | None = None,
        config: Path | None = None,
        host: str | None = None,
        passphrase: Secret | str | None = None,
        insecure: bool = False,
        name: str | None = None,
        lease: str | None = None,
        client: str | None = None,
        duration: timedelta | None = None,
        alias: str = "",
    ) -> ExporterInfo:
        """Connect to an exporter and make its drivers' keywords known.

        Which exporter it is, is decided in this order: the one that ``exporter``, ``config`` or ``host``
        names; the one of the ``jmp shell`` that surrounds this run; where a client of a lab is configured, one
        that is leased, as ``lease``, ``name`` or ``selector`` say; the one of the lease in JMP_LEASE or of
        `Create Lease`; the one that ``jmp local start`` has started; with ``selector`` the one local exporter
        that has these labels; the built-in local exporter. The log says what was chosen and why. A connection
        that is open already under the same alias is closed.

        Without ``lease``, the oldest lease of `Create Lease` that fits and that no other connection uses is taken
        before any other, and before a new one is made. Exporters that this library holds itself are not waited
        for: if there are no others, the keyword fails. `Leases` has the rules.

        Args:
            selector: Labels that the exporter must have, such as ``vendor=acme,model=widget-v2``. They are
                checked where the exporter's labels are known.
            exporter: Name of a local exporter's configuration.
            config: File with an exporter's configuration.
            host: Address of an exporter that listens by itself: ``HOST:PORT``, or the path of a socket.
            passphrase: What that exporter's ``--passphrase`` says.
            insecure: Connect to ``host`` without TLS.
            name: Name of the exporter to lease; in a ``jmp shell`` it must be the surrounding one.
            lease: Name of the lease to use; in a ``jmp shell`` it must be the surrounding one.
            client: Name of the client configuration for the lease; without it, the current one.
            duration: How long to lease for; the lease is extended while it is in use.
            alias: A word that the names of this exporter's keywords begin with, for several boards at once.

        Returns:
            The same as `Get Exporter Info`.
        """
        check_bool("insecure", insecure)
        request = Request(exporter, config, host, selector, name, lease, client, duration)
        secret = passphrase.value if isinstance(passphrase, Secret) else passphrase
        session = self._connect(request, alias, secret, insecure)
        atexit.register(self.disconnect_from_exporter)
        self._offer(self._sessions.keywords)
        self._tell(session)
        return session.info

    def _connect(self, request: Request, alias: str, passphrase: str | None, insecure: bool) -> Session:
        self._sessions.check(alias)
        choice = self._choose(request, alias)
        self._disconnect(alias)
        with ExitStack() as undo:
            connection = connect(
                choice,
                request,
                passphrase=passphrase,
                insecure=insecure,
                used=self._sessions.leases(),
                held=self._leases.all_held(),
            )
            undo.callback(connection.close)
            reserved = {*standard_names(), *self._own_keywords, *self._sessions.keywords}
            session = Session(choice, connection, self._timeouts, reserved, alias)
            with Shield():
                self._sessions.add(alias, session)
                undo.pop_all()
        return session

    def _choose(self, request: Request, alias: str) -> Choice:
        choice = choose(
            request,
            _environ(),
            local_candidates,
            selector_matches,
            background_exporter,
            lab_is_configured,
            lambda: self._leases.created(request.client, alias),
            lambda: active_leases(request.client),
        )
        told = f"Exporter: {choice.where.value} {choice.value or ''}".rstrip() + f" ({choice.reason})"
        logger.info(told)
        if not request.names_anything and choice.where is not Where.SHELL:
            to_console(told)
        for note in choice.notes:
            logger.info(note)
        return choice

    @keyword(name="Disconnect From Exporter")
    def disconnect_from_exporter(self, alias: str | None = None) -> None:
        """Close consoles and the connection, and release what was leased for it.

        Does nothing when no exporter is connected. It also happens by itself when the run ends, however it ends.

        Args:
            alias: Alias of the connection; without it, all are closed.
        """
        for each in self._sessions.names if alias is None else (alias,):
            self._disconnect(each)
        if not self._sessions.names:
            atexit.unregister(self.disconnect_from_exporter)

    def _disconnect(self, alias: str) -> None:
        # A time-out ends the waiting in there, and never loses a session that is still open.
        with Shield():
            session = self._sessions.remove(alias)
            if session is not None:
                session.close()

    @keyword(name="Get Exporter Info")
    def get_exporter_info(self, alias: str | None = None) -> ExporterInfo:
        """Return what is connected: ``name``, ``labels``, ``how`` it was found, ``address``, ``drivers``, ``lease``.

        Args:
            alias: Alias of the connection; not needed if there is only one.
        """
        info = self._sessions.require("Get Exporter Info", alias).info
        logger.info(
            f"{info.name}: {info.how}, {info.address}\n"
            f"labels {dict(info.labels)}\ndrivers {dict(info.drivers)}"
        )
        return info

    @keyword(name="List Driver Keywords")
    def list_driver_keywords(self) -> list[str]:
        """Return the names of the connected drivers' keywords, and log them with their arguments."""
        self._sessions.require_any("List Driver Keywords")
        keywords = self._sessions.keywords
        names = sorted(name for name, found in keywords.items() if not found.is_alias)
        logger.info(
            "\n".join(_usage(keywords[name]) for name in names) or "The exporter's drivers offer none."
        )
        return names

    @keyword(name="Call Driver Method")
    def call_driver_method(
        self, path: str, method: str, /, *args: Any, alias: str | None = None, **named: Any
    ) -> Any:
        """Call a driver's method by its path and name, as in ``Call Driver Method    dut.power    on``.

        Works for methods that have no keyword as well, and in a dry run. Arguments are checked and converted as those of
        the method's keyword are.

        Args:
            path: Names that lead to the driver, with dots between.
            method: Name of the method.
            args: Arguments of the method. In a text the equals sign is written ``\\=``.
            alias: Alias of the connection; not needed if there is only one.
            named: Arguments of the method by name, as in ``target=boot``.

        Returns:
            What the method returns; a list of its items if it streams.
        """
        return self._sessions.require("Call Driver Method", alias).call(path, method, args, named)

    @keyword(name="Set Jumpstarter Timeout")
    def set_jumpstarter_timeout(self, timeout: timedelta, *, scope: Scope = Scope.SUITE) -> str:
        """Set how long keywords wait that are given no ``timeout``.

        Args:
            timeout: The time, such as ``2 min``.
            scope: How long the setting holds; ``TEST`` outside a test is the same as ``SUITE``.

        Returns:
            The timeout that held before.
        """
        return time_text(self._timeouts.set(timeout, scope))

    # Listener

    def start_suite(self, data: Any, result: Any) -> None:
        """A suite may have imported the library under another name, which knows no drivers' keywords yet."""
        self._timeouts.start_suite()
        if self._driver_keywords:
            self._announce()

    def end_suite(self, data: Any, result: Any) -> None:
        """Forget the suite's timeout. What consoles said after the last test is kept with the suite."""
        self._timeouts.end_suite()
        if data.parent is None:
            end_consoles(self._sessions)
        note_in_suite(self._sessions, result)

    def start_test(self, data: Any, result: Any) -> None:
        """Forget the timeout of the test before."""
        self._timeouts.start_test()

    def end_test(self, data: Any, result: Any) -> None:
        """Show what consoles said and nobody read."""
        self._timeouts.end_test()
        if result.failed and (reason := end_reason()):
            result.message = f"{result.message}\n{reason}"
        for session in self._sessions:
            session.consoles.log_unread()

    def close(self) -> None:
        """The run has ended."""
        with ExitStack() as cleanup:
            cleanup.callback(self._leases.close)
            cleanup.callback(self.disconnect_from_exporter)
            end_consoles(self._sessions)
            warn_of_unlogged(self._sessions)

    # Dynamic library

    def run_keyword(self, name: str, args: Any, kwargs: Any = None) -> Any:
        """Run a keyword; whatever its failure says is text for Robot, and no HTML."""
        try:
            return super().run_keyword(name, args, kwargs)
        except Exception as error:
            told = as_text(error)
            if told is error:
                raise
            raise told from error

    def get_keyword_types(self, name: str) -> dict[str, Any]:
        """Types of a keyword's arguments; a copy, for Robot takes the result's type out of it."""
        return dict(super().get_keyword_types(name) or {})

    def _offer(self, keywords: dict[str, DriverKeyword]) -> None:
        """Make *keywords* the drivers' keywords, all of them: a time-out in the midst would leave Robot with a part."""
        with Shield():
            self._replace(keywords)
            self._announce()

    def _replace(self, keywords: dict[str, DriverKeyword]) -> None:
        for name in self._driver_keywords:
            del self.keywords[name], self.keywords_spec[name]
        for name, found in keywords.items():
            self.keywords[name] = found
            self.keywords_spec[name] = KeywordSpecification(
                found.signature.specification, found.documentation, found.signature.types
            )
        self._driver_keywords = set(keywords)

    def _announce(self) -> None:
        """Make Robot look at the keywords again, under every name that this instance was imported by.

        Robot copies an import's keywords for each alias, and reloading by instance finds the first alias
        only.
        """
        try:
            builtin = BuiltIn()
            instances: Any = builtin.get_library_instance(all=True)
        except RobotNotRunningError:
            return  # used from Python
        for name, instance in instances.items():
            if instance is self:
                builtin.reload_library(name)

    def _tell(self, session: Session) -> None:
        for warning in session.generated.warnings:
            logger.warn(warning)
        for note in session.generated.notes:
            logger.info(note)


def _usage(found: DriverKeyword) -> str:
    return "    ".join((found.name, *usage(found.signature)))


def _environ() -> dict[str, str]:
    import os

    return dict(os.environ)


def _imported_with(timeout: timedelta | str) -> timedelta:
    """The time that an import gives. Robot is not left to convert it: it ends the run with a traceback where it cannot."""
    try:
        return TypeInfo.from_type_hint(timedelta).convert(timeout)  # type: ignore[no-any-return]
    except ValueError:
        raise ValueError(
            f"timeout is {timeout!r}, expected a time such as '30 s'; the library takes no other argument: "
            "`Connect To Exporter` says which exporter"
        ) from None
