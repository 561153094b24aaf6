"""The controller's data directory: what is in it, and that only one controller uses it at a time.

::

    keys/NUMBER-ID.pem   keys that sign tokens
    keys/router.key      what controller and routers share
    keys/passage.key     what the keys of passages follow from
    ca/                  the certificate authority and the server certificate
    lab.sqlite3          the store
    routers/PID.sock     where a router process of the lab talks with its controller
    router.log           what such a process wrote as it died; empty but for faults
    admin.token          a token with the role administrator
    endpoint             where the controller that was started last can be reached
    authority.pem        the certificate that it is verified with
"""

from __future__ import annotations

import fcntl
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter.config.files import write_atomically
from jumpstarter.config.loader import display_path


@dataclass(frozen=True)
class DataDirectory:
    """See the module; use it inside `exclusive`."""

    path: Path

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def authority(self) -> Path:
        return self.path / "ca"

    @property
    def store(self) -> Path:
        return self.path / "lab.sqlite3"

    @property
    def admin_token(self) -> Path:
        return self.path / "admin.token"

    @property
    def endpoint(self) -> Path:
        return self.path / "endpoint"

    @property
    def trusted(self) -> Path:
        return self.path / "authority.pem"

    def make(self) -> None:
        """Make the directory (0700) where there is none. Raises OSError."""
        for folder in (self.path, self.keys, self.authority):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Make the directory (0700) and hold it.

        Raises FileAccessError when it cannot be used, ConfigurationError when another controller holds it, or everybody may
        write into it.
        """
        try:
            self.make()
            lock = (self.path / "lock").open("w")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise FileAccessError(
                f"{display_path(self.path)}: cannot be used: {reason}; name another with --data-dir"
            ) from None
        with lock:
            self._refuse_open_folders()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(
                    f"{display_path(self.path)}: another controller uses it; stop that one, or name another directory "
                    "with --data-dir"
                ) from None
            yield

    def _refuse_open_folders(self) -> None:
        """Whoever may write into the folders may put a key there, and is the lab."""
        for folder in (self.path, self.keys, self.authority):
            mode = folder.stat().st_mode
            if mode & stat.S_IWOTH:
                raise ConfigurationError(
                    f"{display_path(folder)}: everybody may write into it (mode {stat.S_IMODE(mode):o}): run "
                    f"'chmod o-w {display_path(folder)}', or name another directory with --data-dir"
                )

    def router_key(self) -> bytes:
        """The key that the controller shares with its routers, made where there is none."""
        return self._key("router.key")

    def passage_key(self) -> bytes:
        """The secret that the keys of passages follow from, made where there is none."""
        return self._key("passage.key")

    def _key(self, name: str) -> bytes:
        path = self.keys / name
        if not path.exists():
            write_atomically(path, secrets.token_hex(32) + "\n")
        return path.read_text().strip().encode()
