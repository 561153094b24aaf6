"""What a report and a grant cost does not grow with the lab."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector
from jumpstarter_controller.model import Lease, LeaseSpec, resolve_times
from jumpstarter_controller.runtime import boards, leasing
from jumpstarter_controller.runtime.draft import Draft, Records
from jumpstarter_controller.runtime.lab import Lab

from utest.jumpstarter_controller.labs import HOUR, NOW, client, exporter

pytestmark = pytest.mark.anyio

SMALL, LARGE = 500, 8000
#: Sixteen times the boards may cost so much more; it was sixteen times when all boards were looked at for every change.
LIMIT = 5.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NoStore:
    """Keeps nothing."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def load(self) -> Records:
        return self._records

    async def commit(self, draft: Draft) -> None:
        pass

    async def lease(self, name: str) -> Lease | None:
        return None

    async def ended_leases(self, after: object, limit: int) -> list[Lease]:
        return []

    async def audit(self, limit: int) -> list[Any]:
        return []

    async def forget(self, before: object, now: object) -> int:
        return 0


def lab_of(count: int) -> Lab:
    found = [exporter(f"b{n:05}", {"group": f"g{n % 10}", "rack": f"r{n % 200}"}) for n in range(count)]
    records = Records(exporters={each.name: each for each in found}, clients={"anna": client("anna")})
    return Lab(NoStore(records), now=lambda: NOW)


async def cost_of_reports(lab: Lab) -> float:
    begun = time.process_time()
    for number in range(50):
        report = partial(
            boards.report,
            name=f"b{number:05}",
            status=ExporterStatus.AVAILABLE,
            message="",
            release_lease=False,
            actor="",
        )
        await lab.change(report)
    return time.process_time() - begun


async def cost_of_grants(lab: Lab) -> float:
    begun = time.process_time()
    for number in range(30):
        name = leasing.new_name()
        times = resolve_times(None, timedelta(hours=1), None)
        spec = LeaseSpec(times=times, selector=Selector.parse(f"group=g{number % 10}"))
        create = partial(leasing.create, client="anna", name=name, spec=spec, max_tags=1, actor="")
        await lab.change(create)
        granted = lab.records.leases[name]
        assert granted.exporter is not None and granted.expires_at == NOW + HOUR
        await lab.change(partial(leasing.release, name=name, actor=""))
    return time.process_time() - begun


@pytest.mark.parametrize("cost_of", [cost_of_reports, cost_of_grants])
async def test_cost_of_a_change_does_not_grow_with_the_lab(cost_of: Any) -> None:
    costs = []
    for count in (SMALL, LARGE):
        async with lab_of(count) as lab:
            for name in list(lab.records.exporters):
                lab.found(name)
            await lab.change(lambda draft: None)
            costs.append(min([await cost_of(lab) for _ in range(3)]))
    small, large = costs
    assert large < LIMIT * small, f"{SMALL} boards: {small:.3f} s, {LARGE} boards: {large:.3f} s"
