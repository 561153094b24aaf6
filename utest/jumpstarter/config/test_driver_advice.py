"""Every class path of stock's documents is a driver here, or an error that says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.config.driver_advice import how_to_install
from jumpstarter.config.driver_class import driver_class
from jumpstarter.driver import Driver

OURS = [
    "jumpstarter_driver_power.driver.MockPower",
    "jumpstarter_driver_opendal.driver.MockStorageMux",
    "jumpstarter_driver_opendal.driver.Opendal",
    "jumpstarter_driver_network.driver.TcpNetwork",
    "jumpstarter_driver_network.driver.UdpNetwork",
    "jumpstarter_driver_network.driver.UnixNetwork",
    "jumpstarter_driver_network.driver.EchoNetwork",
    "jumpstarter_driver_pyserial.driver.PySerial",
    "jumpstarter_driver_shell.driver.Shell",
    "jumpstarter_driver_qemu.driver.Qemu",
    "jumpstarter_driver_uboot.driver.UbootConsole",
]

OF_OTHERS = [
    "yepkit.driver.Ykush",
    "corellium.driver.Corellium",
    "sdwire.driver.SDWire",
    "flashers.driver.TIJ784S4Flasher",
    "tftp.driver.Tftp",
    "tasmota.driver.TasmotaPower",
    "snmp.driver.SNMPServer",
    "raspberrypi.driver.DigitalOutput",
    "probe_rs.driver.ProbeRs",
    "http.driver.HttpServer",
    "energenie.driver.EnerGenie",
    "dutlink.driver.Dutlink",
    "can.IsoTpSocket",
    "can.IsoTpPython",
    "can.Can",
    "ustreamer.driver.UStreamer",
]


def refusal(path: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        driver_class(path)
    return str(error.value)


@pytest.mark.parametrize("path", OURS)
def test_classes_that_are_here(path: str) -> None:
    assert driver_class(path).__name__ == path.rpartition(".")[2]


@pytest.mark.parametrize("path", OF_OTHERS)
def test_classes_of_stocks_other_packages_are_told_with_the_command_that_brings_them(path: str) -> None:
    package = path.partition(".")[0].replace("_", "-")
    message = refusal(f"jumpstarter_driver_{path}")
    assert "is not installed" in message
    assert f"pip install --no-deps jumpstarter-driver-{package} " in message


def test_the_pdu_of_the_examples_is_told_with_what_there_is() -> None:
    message = refusal("jumpstarter_driver_power.driver.PduPower")
    assert "has no class 'PduPower'" in message
    assert "pip install --no-deps jumpstarter-driver-snmp pysnmp" in message
    assert "\n" not in message


def test_a_class_in_the_letters_of_an_example_is_a_driver() -> None:
    assert issubclass(driver_class("jumpstarter_driver_qemu.driver.QEMU"), Driver)


def test_a_vendors_package_is_to_be_installed() -> None:
    assert "package 'vendorpackage' is not installed" in refusal("vendorpackage.CustomDriver")


def test_what_a_driver_package_requires_is_named_as_the_index_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jumpstarter_driver_acme").mkdir()
    (tmp_path / "jumpstarter_driver_acme" / "__init__.py").write_text("")
    (tmp_path / "jumpstarter_driver_acme" / "driver.py").write_text("import acme_usb\n")
    info = tmp_path / "jumpstarter_driver_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: jumpstarter-driver-acme\nVersion: 1.0\nRequires-Dist: jumpstarter==0.9.0\n"
        "Requires-Dist: pyacme>=2\nRequires-Dist: click>=8\nRequires-Dist: other; extra == 'all'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    message = refusal("jumpstarter_driver_acme.driver.Acme")
    assert message.endswith("needs the package 'acme_usb', which is not installed; pip install pyacme")
    assert how_to_install("acme_usb.core", "elsewhere.driver") == "pip install acme_usb"
