"""The user configuration, ``config.yaml``: which client is the current one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.common import CONFIG_API_VERSION, system_config_home, user_config_home
from jumpstarter.config.fields import to_plain
from jumpstarter.config.files import Place, dump, missing_file, write_atomically
from jumpstarter.config.loader import Problems, display_path, read_file
from jumpstarter.config.reading import USER_KINDS, read_document
from jumpstarter.config.schema import convert_fields

FILE_NAME = "config.yaml"


@dataclass(kw_only=True, init=False)
class UserConfigV1Alpha1Config:
    """*current_client_alias*: the client that commands use when none is named. It may be given as *current_client*, too."""

    current_client_alias: str | None = field(default=None, metadata={"key": "current-client", "keep": True})

    def __init__(
        self,
        *,
        current_client_alias: str | None = None,
        current_client: ClientConfigV1Alpha1 | str | None = None,
    ) -> None:
        self.current_client_alias = current_client_alias
        if current_client is not None:
            self.current_client = current_client

    @property
    def current_client(self) -> ClientConfigV1Alpha1 | None:
        """The configuration of the current client, read now; None when there is none or its file is gone."""
        alias = self.current_client_alias
        return ClientConfigV1Alpha1.load(alias) if alias and ClientConfigV1Alpha1.exists(alias) else None

    @current_client.setter
    def current_client(self, client: ClientConfigV1Alpha1 | str | None) -> None:
        self.current_client_alias = client.alias if isinstance(client, ClientConfigV1Alpha1) else client


@dataclass(kw_only=True)
class UserConfigV1Alpha1:
    """The user configuration. Without a file it is empty; only `save` and `use_client` create one.

    `USER_CONFIG_PATH` is the user's file; tests may set it.
    """

    USER_CONFIG_PATH: ClassVar[Path] = Place(lambda: user_config_home() / FILE_NAME)  # type: ignore[assignment]

    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    kind: Literal["UserConfig"] = field(default="UserConfig", metadata={"keep": True})
    config: UserConfigV1Alpha1Config = field(
        default_factory=UserConfigV1Alpha1Config, metadata={"keep": True}
    )

    @classmethod
    def user_path(cls) -> Path:
        """Where the user's file is, or would be."""
        return Path(cls.USER_CONFIG_PATH)

    @classmethod
    def exists(cls) -> bool:
        """Whether the user has a file."""
        return cls.user_path().is_file()

    @classmethod
    def load(cls) -> UserConfigV1Alpha1:
        """Read the user's file, else the system's.

        Raises FileNotFoundError without either, FileAccessError, or ConfigurationError with all problems.
        """
        candidates = (cls.user_path(), system_config_home() / FILE_NAME)
        return cls.from_file(next((each for each in candidates if each.is_file()), candidates[0]))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> UserConfigV1Alpha1:
        """Read the file at *path*. Raises as `load` does."""
        path = Path(path)
        if not path.is_file():
            raise missing_file(path, "user config")
        problems = Problems(display_path(path))
        values = convert_fields(cls, read_document(read_file(path), USER_KINDS, problems), (), problems)
        problems.raise_if_any()
        return cls(**values)

    @classmethod
    def load_or_create(cls) -> UserConfigV1Alpha1:
        """As `load`; without a file an empty configuration, which is not written."""
        has_file = cls.exists() or (system_config_home() / FILE_NAME).is_file()
        return cls.load() if has_file else cls()

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the user's file, or the one at *path*, and return its path. Raises FileAccessError."""
        target = self.user_path() if path is None else Path(path)
        write_atomically(target, dump(to_plain(self)))
        return target

    def use_client(self, name: str | None) -> Path:
        """Make the client *name* the current one (None: no client), save, and return the path of the user's file.

        Raises FileNotFoundError, with the nearest alias, when there is no such client.
        """
        if name is not None:
            ClientConfigV1Alpha1.ensure_exists(name)
        self.config.current_client_alias = name
        return self.save()
