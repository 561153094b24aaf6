"""Configurations that programs make themselves, in the ways that stock Jumpstarter takes."""

from __future__ import annotations

from typing import Any

import pytest
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    FailureDetectionConfigV1Alpha1,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
)
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1DriverInstance as Instance,
)
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1DriverInstanceBase as Base,
)
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1DriverInstanceComposite as Composite,
)
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1DriverInstanceProxy as Proxy,
)
from jumpstarter_driver_power.driver import MockPower

POWER = "jumpstarter_driver_power.driver.MockPower"


@pytest.mark.parametrize(
    "instance",
    [
        lambda: Instance(root=Base(type=POWER)),
        lambda: Instance(Base(type=POWER)),
        lambda: Instance({"type": POWER}),
        lambda: Instance(type=POWER),
        lambda: Instance.from_str(f"type: {POWER}"),
    ],
)
def test_driver_has_one_form_however_it_is_given(instance: Any) -> None:
    assert instance() == Instance(type=POWER)
    assert instance().root == Base(type=POWER)
    assert isinstance(instance().instantiate(), MockPower)


def test_children_may_be_forms_and_mappings() -> None:
    children: Any = {
        "a": Base(type=POWER, config={"log_level": "DEBUG"}),
        "b": {"type": POWER},
        "c": Proxy(ref="a"),
        "d": Instance(type=POWER),
        "group": Composite(children={"e": Base(type=POWER)}),  # type: ignore[dict-item]
    }
    group = Instance(children=children)
    assert isinstance(group.root, Composite)
    assert [type(child.root) for child in group.root.children.values()] == [
        Base,
        Base,
        Proxy,
        Base,
        Composite,
    ]
    driver = group.instantiate()
    assert driver.children["a"].log_level == "DEBUG"
    assert list(driver.children["group"].children) == ["e"]
    a, c = (node for node in driver.enumerate() if node[2] in ("a", "c"))
    assert a[0] == c[0]


def test_form_shares_its_mappings_with_the_node() -> None:
    instance = Instance(type=POWER)
    assert isinstance(instance.root, Base)
    instance.root.config["log_level"] = "DEBUG"
    assert instance.config == {"log_level": "DEBUG"}


def test_names_of_the_file_are_names_of_arguments_too() -> None:
    hook = HookInstanceConfigV1Alpha1(script="x", exec="/bin/bash", onFailure="exit")  # type: ignore[arg-type]
    assert hook == HookInstanceConfigV1Alpha1(script="x", exec_="/bin/bash", on_failure="exit")
    assert HookConfigV1Alpha1(beforeLease=hook).before_lease is hook  # type: ignore[call-arg]
    detection = FailureDetectionConfigV1Alpha1(maxRapidFailures=2)  # type: ignore[call-arg]
    config = ExporterConfigV1Alpha1(
        metadata=ObjectMeta(namespace="n", name="x"),
        failureDetection=detection,  # type: ignore[call-arg]
        export={"power": Base(type=POWER)},  # type: ignore[dict-item]
    )
    assert config.failure_detection.max_rapid_failures == 2
    assert config.export["power"] == Instance(type=POWER)
    with pytest.raises(TypeError, match="nonsense"):
        HookConfigV1Alpha1(nonsense=1)  # type: ignore[call-arg]
