"""The keys that sign the lab's tokens: ECDSA on P-256, kept in the data directory, each known by its key id.

The folder holds one PEM file a key, ``NUMBER-RANDOM.pem``; the file's stem is the key id that tokens name in their
header (RFC 7517 ``kid``). The highest number signs, all of them verify: a key is replaced by adding one, and its tokens
are refused once its file is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.config.files import write_atomically
from jumpstarter.config.loader import display_path


@dataclass(frozen=True)
class KeyRing:
    """*signing_id* names the key that signs; *public* are all keys that verify, by key id."""

    signing_id: str
    private: ec.EllipticCurvePrivateKey
    public: Mapping[str, ec.EllipticCurvePublicKey]

    @classmethod
    def open(cls, folder: Path) -> KeyRing:
        """The keys in *folder*; makes the first one where there is none.

        Raises ConfigurationError for a file that holds no P-256 key, FileAccessError when the folder cannot be used.
        """
        paths = sorted(folder.glob("*.pem"))
        if not paths:
            paths = [_create(folder, 1)]
        keys = {path.stem: _read(path) for path in paths}
        newest = paths[-1].stem
        return cls(newest, keys[newest], {name: key.public_key() for name, key in keys.items()})


def add_key(folder: Path) -> Path:
    """Make a key that signs from the next start on; the keys before it go on verifying."""
    numbers = [int(path.stem.partition("-")[0]) for path in folder.glob("[0-9]*.pem")]
    return _create(folder, max(numbers, default=0) + 1)


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """*key* as an unencrypted PKCS #8 PEM text."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _create(folder: Path, number: int) -> Path:
    path = folder / f"{number:04}-{secrets.token_hex(4)}.pem"
    write_atomically(path, private_pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{display_path(path)}: not a private key in PEM: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(
            f"{display_path(path)}: not a key on P-256, which tokens are signed with (ES256)"
        )
    return key
