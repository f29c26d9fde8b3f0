"""Content codings: undone whatever the pieces that the body comes in, and never taken for whole when they are not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topaz_status import TransportError
from topaz_status.core.wire.content_coding import MOST_DECODED, codings, decoder_for

DATA = bytes(range(256)) * 20


def raw_deflate(data: bytes) -> bytes:
    """Without the zlib wrapping, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip of two members": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "gzip filled up with zeros": ("gzip", lambda data: gzip.compress(data) + bytes(300)),
    "deflate": ("deflate", zlib.compress),
    "deflate without wrapping": ("deflate", raw_deflate),
}


def decoded(name: str, *pieces: bytes) -> bytes:
    """A body in this coding that came in these pieces, to its end."""
    decoder = decoder_for([name])
    assert decoder is not None
    data = b"".join(part for piece in pieces for part in decoder.decode(piece))
    decoder.finish()
    return data


@pytest.mark.parametrize("how", ENCODERS)
@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2400), max_size=5))
def test_any_pieces(how: str, data: bytes, cuts: list[int]) -> None:
    """What was encoded comes out, wherever the body was cut into pieces."""
    name, encode = ENCODERS[how]
    body = encode(data)
    assert decoded(name, *(body[start:end] for start, end in pairwise(sorted([0, *cuts, len(body)])))) == data


@pytest.mark.parametrize("how", ENCODERS)
def test_any_cut(how: str) -> None:
    """A body that ends early, at whatever byte, is an error: even between the data and their checksum."""
    name, encode = ENCODERS[how]
    body = encode(DATA).rstrip(b"\0")
    whole = {0, len(gzip.compress(DATA[:7]))} if "two" in how else {0}
    for end in set(range(len(body) - 1)) - whole:
        with pytest.raises(TransportError, match=f"{name} coding breaks off"):
            decoded(name, body[:end])


@pytest.mark.parametrize("body", [b"no such thing", gzip.compress(DATA)[:-8] + bytes(8), gzip.compress(DATA) + b"more"])
def test_damaged_gzip(body: bytes) -> None:
    """Other data, a wrong checksum and something behind the end are recognized as no part of the file."""
    with pytest.raises(TransportError, match="damaged"):
        decoded("gzip", body)


def test_damaged_deflate() -> None:
    """The same for deflate, which has no second member."""
    for body in (zlib.compress(DATA)[:-4] + bytes(4), zlib.compress(DATA) * 2, b"\xff" * 9):
        with pytest.raises(TransportError, match="damaged"):
            decoded("deflate", body)


def test_a_bomb_goes_off_in_small_pieces() -> None:
    """A little that becomes much is given bit by bit: the consumer may stop at any."""
    decoder = decoder_for(["gzip"])
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.decode(gzip.compress(bytes(10_000_000)))]
    assert max(sizes) <= MOST_DECODED
    assert sum(sizes) == 10_000_000


def test_nothing_to_undo() -> None:
    """A file as it stands passes in the pieces that it comes in."""
    decoder = decoder_for([])
    assert decoder is not None
    assert list(decoder.decode(DATA)) == [DATA]
    decoder.finish()


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (None, []),
        ("", []),
        ("identity", []),
        (" Identity , ", []),
        ("GZip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("identity, deflate", ["deflate"]),
        ("gzip, br", ["gzip", "br"]),
    ],
)
def test_names(header: str | None, names: list[str]) -> None:
    """Names are read in any case; ``identity`` is no coding, ``x-gzip`` is gzip (RFC 9110 §8.4.1.3)."""
    assert codings({} if header is None else {"Content-Encoding": header}) == names


@pytest.mark.parametrize("names", [["br"], ["zstd"], ["compress"], ["aws-chunked"], ["gzip", "gzip"], ["x" * 9000]])
def test_unknown(names: list[str]) -> None:
    """What is not known here, and several codings on top of each other, are not undone."""
    assert decoder_for(names) is None
