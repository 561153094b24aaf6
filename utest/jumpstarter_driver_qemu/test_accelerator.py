from __future__ import annotations

import time

import pytest
from jumpstarter_driver_qemu import accelerator
from jumpstarter_driver_qemu.accelerator import (
    best_accelerator,
    hardware_accelerator,
    native_architecture,
    works,
)


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
@pytest.mark.parametrize(("arch", "cpu"), [("x86_64", "max"), ("aarch64", "cortex-a57")])
def test_guest_of_the_probe_runs_where_emulation_does(arch: str, cpu: str) -> None:
    assert works(arch, "tcg", cpu, timeout=60)


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
@pytest.mark.parametrize(("accel", "cpu"), [("tcg", "nonsense"), ("nonsense", "max")])
def test_guest_of_the_probe_does_not_run_without_cpu_or_accelerator(accel: str, cpu: str) -> None:
    assert not works("x86_64", accel, cpu)


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_probe_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    halting = accelerator._Probe(b"\xf4" * 65536, ("-M", "q35"), 0)
    monkeypatch.setitem(accelerator._PROBES, "x86_64", lambda: halting)
    started = time.monotonic()
    assert not works("x86_64", "tcg", "max", timeout=0.5)
    assert time.monotonic() - started < 20


def test_without_qemu_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not works("x86_64", "tcg", "max")


@pytest.mark.parametrize("arch", ["riscv64", "aarch64" if native_architecture() == "x86_64" else "x86_64"])
def test_foreign_guest_is_emulated(arch: str) -> None:
    assert best_accelerator(arch) == "tcg"


@pytest.mark.board
@pytest.mark.usefixtures("qemu")
def test_best_accelerator_is_the_one_that_runs_a_guest() -> None:
    arch = native_architecture()
    expected = hardware_accelerator() if works(arch, hardware_accelerator(), "host") else "tcg"
    assert best_accelerator(arch) == expected
