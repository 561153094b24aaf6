from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard
from jumpstarter.common.images import HEAD_SIZE, compression_of, looks_packed

PACKED = {
    "gzip": gzip.compress(b"image"),
    "xz": lzma.compress(b"image"),
    "bz2": bz2.compress(b"image"),
    "zstd": zstandard.compress(b"image"),
}
SUFFIXES = {"gzip": ".gz", "xz": ".xz", "bz2": ".bz2", "zstd": ".zst"}


@pytest.mark.parametrize("compression", PACKED)
def test_name_and_content_together_tell_the_compression(compression: str) -> None:
    head = PACKED[compression][:HEAD_SIZE]
    for name in (f"a.img{SUFFIXES[compression]}", f"A.IMG{SUFFIXES[compression].upper()}"):
        assert compression_of(name, head) == compression
        assert compression_of(name, head, "none") is None
        assert compression_of(name, head, compression) == compression
        assert looks_packed(name)


@pytest.mark.parametrize("compression", PACKED)
def test_content_alone_is_an_error_that_says_what_to_do(compression: str) -> None:
    head = PACKED[compression][:HEAD_SIZE]
    with pytest.raises(
        ValueError, match=f"begins like {compression} data.*give compression {compression}.*none"
    ):
        compression_of("a.img", head)
    assert compression_of("a.img", head, compression) == compression
    assert compression_of("a.img", head, "none") is None


@pytest.mark.parametrize("compression", PACKED)
def test_a_name_alone_is_an_error_unless_the_server_undid_it(compression: str) -> None:
    name = f"a.img{SUFFIXES[compression]}"
    with pytest.raises(ValueError, match=f"is not {compression} data, as its name tells"):
        compression_of(name, b"<!DOCTYPE html>")
    assert compression_of(name, b"raw image", None, compression) is None
    assert compression_of(name, b"raw image", compression, compression) is None


@pytest.mark.parametrize(
    ("name", "head", "what"),
    [
        ("a.img", b"PK\x03\x04aaaa", "zip"),
        ("a.zip", b"anything", "zip"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        ("a.img.lz4", b"\x04\x22\x4d\x18", "lz4"),
        ("a.lzma", b"]\0\0", "LZMA"),
        ("a.tar", b"x", "tar"),
        ("a.tar.gz", PACKED["gzip"], "tar"),
        ("a.tgz", PACKED["gzip"], "tar"),
        ("a.tar.xz", PACKED["xz"], "tar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archives_are_refused(name: str, head: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=f"is (a|an) .*{what}|is {what}"):
        compression_of(name, head)
    assert compression_of(name, head, "none") is None


def test_an_empty_image_is_refused_whatever_is_said() -> None:
    for given in (None, "none", "gzip"):
        with pytest.raises(ValueError, match=r"'a\.img' is empty"):
            compression_of("a.img", b"", given)


def test_raw_images_are_taken_as_they_are() -> None:
    for head in (b"\x1f\x8b\x00\x00", b"BZhello", b"BZh9hello world", b"\0" * 16, b"x"):
        assert compression_of("image", head) is None
