"""Kinds of arguments of storage drivers; apart from the models of `common`, whose library takes memory."""

from __future__ import annotations

from os import PathLike
from typing import Literal

PathBuf = str | PathLike[str]
Mode = Literal["rb", "wb"]
HashAlgo = Literal["md5", "sha256"]
