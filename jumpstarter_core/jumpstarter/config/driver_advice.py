"""What to install for a driver class that cannot be had."""

from __future__ import annotations

import importlib.metadata
import re

DISTRIBUTION = "robotframework-jumpstarter"
_PREFIX = "jumpstarter_driver_"

#: Classes that examples of stock's documents name and no release of stock has.
_NEVER_WERE = {
    "jumpstarter_driver_power.driver.PduPower": (
        "; it is a name in examples only. For a power distribution unit there are jumpstarter_driver_snmp.driver.SNMPServer "
        "(pip install --no-deps jumpstarter-driver-snmp pysnmp), jumpstarter_driver_http_power.driver.HttpPower (pip install "
        "--no-deps jumpstarter-driver-http-power), and jumpstarter_driver_shell.driver.Shell for a command line tool"
    ),
}


def advice_on_class(path: str) -> str:
    """What to take in place of the class *path*, which its module does not have; empty for most."""
    return _NEVER_WERE.get(path, "")


def advice_on_package(package: str) -> str:
    """How to install the driver package *package*; empty for packages of other kinds.

    Without its requirements: a driver written for stock Jumpstarter would bring stock's core, of the same import name as ours.
    """
    name = package.partition(".")[0]
    if not name.startswith(_PREFIX):
        return ""
    return f"; pip install --no-deps {name.replace('_', '-')} (without its requirements, which name another core)"


def how_to_install(needed: str, by: str) -> str:
    """The command that brings the import package *needed*, which the module *by* imports."""
    if extra := _extra_with(needed):
        return f"pip install '{DISTRIBUTION}[{extra}]'"
    missing = _missing_requirements(by.partition(".")[0].replace("_", "-"))
    return f"pip install {' '.join(missing) if missing else needed.partition('.')[0]}"


def _missing_requirements(distribution: str) -> list[str]:
    """What *distribution* requires and is not installed, cores of Jumpstarter aside; an import name may differ from these."""
    try:
        requirements = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = [
        match[0] for line in requirements if "extra ==" not in line and (match := re.match(r"[\w.-]+", line))
    ]
    return [name for name in names if not name.startswith("jumpstarter") and _absent(name)]


def _absent(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return True
    return False


def _extra_with(package: str) -> str | None:
    """The smallest extra of this distribution that brings *package*."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        if match := re.match(r"([\w.-]+).*\bextra\s*==\s*['\"]([\w.-]+)['\"]", requirement):
            extras.setdefault(match[2], []).append(match[1].replace("-", "_").lower())
    wanted = package.partition(".")[0].lower()
    bringing = [extra for extra, packages in extras.items() if wanted in packages]
    return min(bringing, key=lambda extra: len(extras[extra]), default=None)
