"""What exporters report, as operations on a draft."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter_controller.runtime import boards
from jumpstarter_controller.runtime.draft import Draft, Records

from utest.jumpstarter_controller.labs import NOW, exporter


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (ExporterStatus.OFFLINE, ExporterStatus.UNSPECIFIED),
        (ExporterStatus.AVAILABLE, ExporterStatus.AVAILABLE),
        (ExporterStatus.AFTER_LEASE_HOOK_FAILED, ExporterStatus.AFTER_LEASE_HOOK_FAILED),
    ],
)
def test_an_exporter_that_has_reported_since_is_not_revived(
    status: ExporterStatus, after: ExporterStatus
) -> None:
    """Whether it is to be revived is decided before, outside of the operation."""
    draft = Draft(Records(exporters={"e": replace(exporter("e"), status=status)}), NOW)
    boards.revive(draft, "e", ())
    found = draft.exporters.get("e")
    assert found is not None
    assert found.status is after
