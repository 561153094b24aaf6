"""What the tests of sessions have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from jumpstarter.client.client import connect_path
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.exporter import Session

from .bench import Bench
from .lab import Lab


@pytest.fixture
def bench() -> Iterator[Bench]:
    other = Lab()
    lab = Lab(children={"other": other})
    with ExitStack() as stack:
        session = stack.enter_context(Session(root_device=lab, labels={"rack": "7"}, motd="hello"))
        path = stack.enter_context(session.serve_unix())
        session.update_status(ExporterStatus.LEASE_READY)
        client = stack.enter_context(connect_path(path, allow=[], unsafe=True))
        yield Bench(lab, other, session, path, client)
        lab.release.set()
