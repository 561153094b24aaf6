"""The program ``fls``, which writes OCI images to devices: where its releases are, and a local copy.

Releases: https://github.com/jumpstarter-dev/fls
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from urllib.parse import urlsplit

from .exceptions import ConfigurationError, ConnectionError, DriverError

_ARCHITECTURES = {"arm64": "aarch64", "amd64": "x86_64"}


def get_fls_github_url(version: str, arch: str | None = None) -> str:
    """The address of release *version* for *arch* (as ``uname -m`` prints it; None: this machine's)."""
    machine = (arch or platform.machine()).lower()
    machine = _ARCHITECTURES.get(machine, machine)
    return f"https://github.com/jumpstarter-dev/fls/releases/download/{version}/fls-{machine}-linux"


def download_fls(url: str, timeout: float = 30.0) -> str:
    """The path of a local, executable copy of the program at *url*, fetched unless it was before.

    *timeout* in seconds bounds each wait for the server. Raises ConnectionError when it cannot be fetched.
    """
    import hashlib

    folder = _cache() / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / "fls"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(url, target, timeout)
    return str(target)


def get_fls_binary(
    fls_version: str | None = None, fls_binary_url: str | None = None, allow_custom_binaries: bool = False
) -> str:
    """The path of the program: the one at *fls_binary_url*, else of release *fls_version*, else ``fls`` from the PATH.

    Raises ConfigurationError for an address without *allow_custom_binaries*, or one that is not https.
    """
    if fls_binary_url:
        if not allow_custom_binaries:
            raise ConfigurationError(
                f"fls from {fls_binary_url} is not allowed: set fls_allow_custom_binaries: true in the exporter file"
            )
        if urlsplit(fls_binary_url).scheme != "https":
            raise ConfigurationError(f"fls from {fls_binary_url}: expected an https:// address")
        return download_fls(fls_binary_url)
    if fls_version:
        return download_fls(get_fls_github_url(fls_version))
    return "fls"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jumpstarter" / "fls"


def _fetch(url: str, target: Path, timeout: float) -> None:
    import tempfile

    from .presigned import open_get
    from .resources import PresignedRequestResource
    from .webaddress import redact

    try:
        # A name of its own and a rename: another process sees the whole program or none.
        with (
            open_get(PresignedRequestResource(url=url, method="GET"), timeout) as answer,
            tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file,
        ):
            while chunk := answer.read(1 << 20):
                file.write(chunk)
        path = Path(file.name)
        path.chmod(0o755)
        path.replace(target)
    except (OSError, DriverError) as error:
        raise ConnectionError(f"cannot fetch fls from {redact(url)}: {error}") from None
