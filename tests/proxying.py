"""A private certificate authority, and a proxy that knows hosts no resolver knows."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import attrs
import trustme
from harness import http

API = "api.topaz.test"
STORAGE = "storage.topaz.test"


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    """What a server with these names needs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names).configure_cert(context)
    return context


def client_context(ca: trustme.CA | None = None) -> ssl.SSLContext:
    """What a client needs that trusts an authority."""
    context = ssl.create_default_context()
    if ca is not None:
        ca.configure_trust(context)
    return context


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@attrs.define(eq=False)
class Proxy:
    """Tunnels CONNECT, and forwards plain requests, to ports of loopback; keeps every byte that it could read."""

    ports: Mapping[str, int] = attrs.field(factory=dict)
    """By host name, which only the proxy resolves."""
    credentials: str | None = None
    """``user:password`` that it asks for."""
    refusal: bytes | None = None
    """What it answers whatever is asked; an empty one drops the connection."""
    silent: bool = False
    """It accepts and never answers."""
    seen: bytearray = attrs.field(factory=bytearray)
    heads: list[str] = attrs.field(factory=list)

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [head.partition("\r\n")[0] for head in self.heads]

    @contextlib.asynccontextmanager
    async def serve(self, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Serve on loopback; gives the URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        async with server:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Deal with one request; true where another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.seen += head.encode()
        self.heads.append(head)
        method, target, _ = head.partition("\r\n")[0].split(" ")
        if self.silent:
            await reader.read()
            return False
        refusal = self._refusal(head)
        if refusal is not None:
            writer.write(refusal)
            return bool(refusal)
        parts = urlsplit(target if "://" in target else f"//{target}")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.ports[parts.hostname or ""])
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            passed = [line for line in head.split("\r\n")[1:] if not line.lower().startswith("proxy-")]
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            far_writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *passed]).encode())
        await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))
        return False

    def _refusal(self, head: str) -> bytes | None:
        if self.credentials is not None:
            basic = b64encode(self.credentials.encode("latin-1")).decode()
            if f"\r\nProxy-Authorization: Basic {basic}\r\n" not in head:
                return http(b"{}", "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="x"')
        return self.refusal

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                self.seen += piece
                writer.write(piece)
                await writer.drain()
        writer.close()
