"""Checks a YAML block with the loader that reads such a file in the product: no page can show a wrong key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, ExporterConfigV1Alpha1DriverInstance
from jumpstarter.config.loader import Problems, read_file
from jumpstarter.config.reading import USER_KINDS, read_document
from jumpstarter.config.schema import convert_fields
from jumpstarter.config.user import UserConfigV1Alpha1
from jumpstarter_controller.settings import ControllerSettings

EXPORTER_HEADER = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: example
"""


def load_user(path: Path) -> None:
    """The user's file is loaded from its one place only, so this goes a floor deeper."""
    problems = Problems(str(path))
    convert_fields(UserConfigV1Alpha1, read_document(read_file(path), USER_KINDS, problems), (), problems)
    problems.raise_if_any()


def load_policies(path: Path) -> None:
    """Access policies, as `jmp admin create policy` reads them."""
    from jumpstarter_cli.policy_files import read_policies

    read_policies(path, "default")


LOADERS: dict[str, Callable[[Path], object]] = {
    "Exporter": partial(ExporterConfigV1Alpha1.load_path, environment=False),
    "ExporterConfig": partial(ExporterConfigV1Alpha1.load_path, environment=False),
    "Client": partial(ClientConfigV1Alpha1.from_file, environment=False),
    "ClientConfig": partial(ClientConfigV1Alpha1.from_file, environment=False),
    "UserConfig": load_user,
    "ControllerConfig": ControllerSettings.from_file,
    "ExporterAccessPolicy": load_policies,
}


def check_yaml(text: str, folder: Path) -> None:
    """Raise ConfigurationError or yaml.YAMLError when the text is not what its own keys claim it to be.

    A file of ours is told by its `kind`; a part of an exporter's file by `export` at its top (a header is put
    above it); a single driver by `type`. Any other YAML is only parsed.
    """
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        return
    if "kind" in document and str(document.get("apiVersion", "")).startswith("jumpstarter.dev/"):
        check_file(text, LOADERS[str(document["kind"])], folder)
    elif "kind" not in document and "export" in document:
        check_file(EXPORTER_HEADER + text, LOADERS["ExporterConfig"], folder)
    elif is_driver(document):
        ExporterConfigV1Alpha1DriverInstance.from_str(text)


def is_driver(document: dict[str, Any]) -> bool:
    return isinstance(document.get("type"), str) and "." in document["type"]


def check_file(text: str, load: Callable[[Path], object], folder: Path) -> None:
    path = folder / ".checked.yaml"
    path.write_text(text, encoding="utf-8")
    load(path)
    path.unlink()
