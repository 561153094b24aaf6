"""`JumpstarterTest`: a pytest class whose tests have a board.

Both forms work, also mixed::

    class TestBoard(JumpstarterTest):
        exporter_selector = "vendor=acme,model=widget-v2"

        def test_argument(self, client):
            client.power.on()

        def test_attribute(self):
            self.client.power.off()

A class has one connection, made before its first test and closed after its last. `setup_class` and `teardown_class` have it, too.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest


class JumpstarterTest:
    """Base class of tests that drive a board.

    `exporter_selector` (`selector` is its other name) tells by labels which exporter the tests need. Inside of
    `jmp shell` it is the shell's exporter, whoever started the shell chose it. Elsewhere, where a client of a lab
    is configured, it is that of the lease that JMP_LEASE names, or that `jmp create lease` made for this selector,
    else of a lease that the class gets for itself. Without any of them each test ends in an
    EnvironmentVariableNotSetError that says so.
    """

    __test__ = True
    """Collect subclasses whatever their name, `MyTest` too."""

    exporter_selector: ClassVar[str | None] = None
    selector: ClassVar[str | None] = None

    if TYPE_CHECKING:
        client: Any
    else:

        @pytest.fixture(scope="class")
        @classmethod
        def client(cls, request: pytest.FixtureRequest) -> Generator[Any, None, None]:
            """The client of the exporter's root driver; its children are its attributes."""
            from .reports import register, say

            register(request.config)
            with _connected(_selector(cls), functools.partial(say, request.config)) as client:
                yield client

    _has_client: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("setup_class", "teardown_class"):
            if name in vars(cls):
                setattr(cls, name, _with_client(vars(cls)[name]))

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _client_attribute(cls, client: Any) -> Generator[None, None, None]:
        # pytest has taken note of the fixture `client` by now, so the attribute is free for the object.
        cls.client = client
        cls._has_client = True
        try:
            _call(cls, "setup_class")
            yield
            _call(cls, "teardown_class")
        finally:
            cls._has_client = False
            del cls.client


def _with_client(method: Any) -> Any:
    """*method* of a class as one that does nothing while the class has no client.

    pytest calls `setup_class` before fixtures are made and `teardown_class` after they are gone: too early and too late for
    a client. `_client_attribute` calls them in between.
    """
    function = getattr(method, "__func__", method)
    takes_class = not isinstance(method, staticmethod)

    def run(cls: type[JumpstarterTest]) -> None:
        if cls._has_client:
            function(*([cls] if takes_class else []))

    run.__doc__ = function.__doc__
    return classmethod(run)


def _call(cls: type, name: str) -> None:
    method = getattr(cls, name, None)
    if method is not None:
        method()


def _selector(cls: type[JumpstarterTest]) -> str:
    from jumpstarter.common.choices import refuse_empty

    selector = cls.selector if cls.exporter_selector is None else cls.exporter_selector
    refuse_empty({f"the selector of {cls.__name__}": selector})
    return selector or ""


@contextmanager
def _connected(selector: str, say: Callable[[str], None]) -> Generator[Any]:
    """The client of the exporter for *selector*, see `JumpstarterTest`; *say* tells what is waited for."""
    from jumpstarter.connection import connect
    from jumpstarter.connection.local import lab_client
    from jumpstarter.utils.env import exporter_host, lease_of_environment

    config = None if "JUMPSTARTER_HOST" in os.environ else lab_client()
    if config is None or not (selector or lease_of_environment() or _local_exporter() is None):
        exporter_host()  # A test of hardware must not pass on the simulated board for want of a shell.
        _check_labels(selector)
        if (running := _local_exporter()) is not None and "JUMPSTARTER_HOST" not in os.environ:
            say(f"Using the exporter of 'jmp local start': {running.name}")
        with connect() as client:
            yield client
        return
    from jumpstarter.connection.lease import LeaseRequest, client_of, lease

    request = LeaseRequest(selector=selector, lease=lease_of_environment(), adopt=True)
    with lease(config, request, progress=say, notify=say) as leased:
        named = ", which JMP_LEASE names" if leased.name == lease_of_environment() else ""
        say(f"Using {leased.exporter.name}: lease {leased.name} of {config.metadata.name}{named}")
        with client_of(leased) as client:
            yield client


def _check_labels(selector: str) -> None:
    """Check *selector* against the labels of the exporter that is there without a lease, where they are known.

    Whoever leased the exporter of a shell has chosen it.
    """
    from jumpstarter.common.choices import check_labels
    from jumpstarter.utils.env import ExporterMetadata, lease_of_environment

    if not selector:
        return
    if "JUMPSTARTER_HOST" in os.environ:
        labels = ExporterMetadata.from_env().labels
        if labels and not lease_of_environment():
            check_labels(selector, labels, "the exporter of the surrounding shell")
    elif (running := _local_exporter()) is not None:
        check_labels(selector, running.labels, "the exporter of 'jmp local start'")


def _local_exporter() -> Any:
    from jumpstarter.common.local import running_exporter

    return running_exporter()
