"""Values that storage drivers and their clients exchange. Field names are those of OpenDAL.

The models are built when they are first used: an exporter that waits needs none of them, and each takes memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from pydantic import BaseModel

from .kinds import HashAlgo, Mode, PathBuf

__all__ = ["Capability", "EntryMode", "HashAlgo", "Metadata", "Mode", "PathBuf", "PresignedRequest"]


class EntryMode(BaseModel, defer_build=True):
    """What an entry is. Both are false when the storage does not tell."""

    entry_is_file: bool
    entry_is_dir: bool

    def is_file(self) -> bool:
        """True for a file."""
        return self.entry_is_file

    def is_dir(self) -> bool:
        """True for a directory."""
        return self.entry_is_dir


class Metadata(BaseModel, defer_build=True):
    """What the storage knows of an entry; `content_length` is in bytes."""

    content_disposition: str | None
    content_length: int
    content_md5: str | None
    content_type: str | None
    etag: str | None
    mode: EntryMode


class PresignedRequest(BaseModel, defer_build=True):
    """An HTTP request that anyone who has it may make, until it expires, without the storage's credentials.

    `headers` are to be sent with it.
    """

    url: str
    method: str
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Capability:
    """What the storage can do. Sizes are in bytes, None for unlimited."""

    # No pydantic model: `copy` would shadow a method of BaseModel, which pydantic warns about.

    stat: bool = False
    stat_with_if_match: bool = False
    stat_with_if_none_match: bool = False

    read: bool = False
    read_with_if_match: bool = False
    read_with_if_none_match: bool = False
    read_with_override_cache_control: bool = False
    read_with_override_content_disposition: bool = False
    read_with_override_content_type: bool = False

    write: bool = False
    write_can_multi: bool = False
    write_can_empty: bool = False
    write_can_append: bool = False
    write_with_content_type: bool = False
    write_with_content_disposition: bool = False
    write_with_cache_control: bool = False
    write_multi_max_size: int | None = None
    write_multi_min_size: int | None = None
    write_total_max_size: int | None = None

    create_dir: bool = False
    delete: bool = False
    copy: bool = False
    rename: bool = False

    list: bool = False
    list_with_limit: bool = False
    list_with_start_after: bool = False
    list_with_recursive: bool = False

    presign: bool = False
    presign_read: bool = False
    presign_stat: bool = False
    presign_write: bool = False

    shared: bool = False
    blocking: bool = False

    @classmethod
    def model_validate(cls, value: Mapping[str, Any]) -> Self:
        """The capabilities that *value* tells; those that this class does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: told for name, told in value.items() if name in known})
