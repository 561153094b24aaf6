"""The exporter that is there without configuration."""

from __future__ import annotations

import yaml
from jumpstarter_driver_simulated import builtin


def test_exporter_file_is_packaged_and_named_local() -> None:
    config = yaml.safe_load(builtin.exporter_config().read_text())
    assert config["kind"] == "ExporterConfig"
    assert config["metadata"]["name"] == builtin.NAME == "local"
    assert {"power", "serial", "storage"} <= set(config["export"])


def test_exporter_serves_a_board() -> None:
    from jumpstarter.common.utils import serve
    from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ExporterConfigV1Alpha1DriverInstance

    config = ExporterConfigV1Alpha1.load_path(builtin.exporter_config())
    root = ExporterConfigV1Alpha1DriverInstance(children=config.export).instantiate()
    with serve(root) as client:
        client.power.on()
        assert client.serial.read_until("boot complete") is not None


def test_it_is_what_connects_without_arguments() -> None:
    from jumpstarter.connection import connect

    with connect() as client:
        assert set(client.children) == {"board", "power", "serial", "storage"}
