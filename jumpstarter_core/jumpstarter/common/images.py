"""What the first bytes and the name of an image say about it.

A board that gets a compressed image does not boot, and nobody sees why. So an image is decompressed when both its name and its
first bytes say that it is compressed; where only one of them does, the user has to say what is meant.
"""

from __future__ import annotations

from typing import Final

from jumpstarter.streams.compression import Compression

__all__ = ["AS_IT_IS", "HEAD_SIZE", "compression_of", "named_compression"]

#: What a user gives as the compression of an image that shall be written as it is.
AS_IT_IS: Final = "none"
#: Bytes that `compression_of` wants, unless the image is shorter.
HEAD_SIZE: Final = 16

#: Longer than `COMPRESSION_SIGNATURES`, which any two bytes of a raw image may happen to be.
_SIGNATURES: Final = (
    (Compression.GZIP, b"\x1f\x8b\x08"),
    (Compression.XZ, b"\xfd7zXZ\x00"),
    (Compression.ZSTD, b"\x28\xb5\x2f\xfd"),
)
_BZ2_BLOCKS: Final = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
_SUFFIXES: Final = {
    ".gz": Compression.GZIP,
    ".gzip": Compression.GZIP,
    ".xz": Compression.XZ,
    ".bz2": Compression.BZ2,
    ".bz": Compression.BZ2,
    ".zst": Compression.ZSTD,
    ".zstd": Compression.ZSTD,
}
#: What cannot be undone here: first bytes and suffixes.
_FOREIGN: Final = (
    ("a zip archive", b"PK\x03\x04", (".zip",)),
    ("a 7-Zip archive", b"7z\xbc\xaf\x27\x1c", (".7z",)),
    ("a RAR archive", b"Rar!\x1a\x07", (".rar",)),
    ("lz4 data", b"\x04\x22\x4d\x18", (".lz4",)),
    ("lzop data", b"\x89LZO\x00\r\n\x1a\n", (".lzo",)),
    ("lzip data", b"LZIP\x01", (".lz",)),
    ("LZMA data", None, (".lzma",)),
    ("a tar archive", None, (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")),
)


def named_compression(name: str) -> Compression | None:
    """The compression that the file name *name* tells, or None."""
    dot = name.rfind(".")
    return _SUFFIXES.get(name[dot:].lower()) if dot >= 0 else None


def looks_packed(name: str) -> bool:
    """True when the file name *name* tells a compression or an archive, known here or not."""
    return named_compression(name) is not None or _foreign(name, b"") is not None


def compression_of(name: str, head: bytes, given: str | None = None, undone: str | None = None) -> str | None:
    """How the image *name* that begins with *head* is to be decompressed; None: not at all.

    *given* is what the user says, *undone* the Content-Encoding that was undone on the way. Raises ValueError for an image that
    is empty, an archive, or compressed in a way that is not certain.
    """
    if not head:
        raise ValueError(f"the image {name!r} is empty: nothing would be written")
    if given == AS_IT_IS:
        return None
    found = _found(head)
    if given is not None:
        return None if undone == given and found != given else given
    return _guessed(name, head, found, undone)


def _guessed(name: str, head: bytes, found: Compression | None, undone: str | None) -> str | None:
    named = named_compression(name)
    foreign = _foreign(name, head)
    if foreign is not None:
        raise ValueError(f"the image {name!r} is {foreign}: unpack it first, {_OR_SAY}")
    if found is not None and named is None:
        raise ValueError(
            f"the image {name!r} begins like {found} data, which its name does not tell: "
            f"give compression {found} to have it decompressed, {_OR_SAY}"
        )
    if found is None and named is not None and undone != named:
        raise ValueError(
            f"the image {name!r} is not {named} data, as its name tells: fetch it again, {_OR_SAY}"
        )
    return found


_OR_SAY: Final = f"or give compression {AS_IT_IS} to write it as it is"


def _found(head: bytes) -> Compression | None:
    for compression, signature in _SIGNATURES:
        if head.startswith(signature):
            return compression
    is_bz2 = head.startswith(b"BZh") and head[3:4] in b"123456789" and head[4:10] in _BZ2_BLOCKS
    return Compression.BZ2 if is_bz2 else None


def _foreign(name: str, head: bytes) -> str | None:
    lower = name.lower()
    inner = lower[: lower.rfind(".")] if named_compression(lower) else lower
    for what, signature, suffixes in _FOREIGN:
        if (signature and head.startswith(signature)) or inner.endswith(suffixes):
            return what
    return None
