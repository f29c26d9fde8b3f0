"""A storage that keeps to HTTP and to nothing else: whatever it does, a file is one of its versions, or not there."""

# small files on the local disk; dice for tests

from __future__ import annotations

import gzip
import random
from collections.abc import Mapping
from pathlib import Path

import attrs
import orjson
import pytest
from harness import Heard, RawServer, client_of, now, virtual

from topaz_status import TopazStatusError
from topaz_status.testing import MEMORY_URL

DATE = "Date: Wed, 22 Oct 2025 07:28:00 GMT"


@attrs.define
class Storage:
    """One file that changes now and then; each answer is drawn from all that HTTP allows, and may be cut."""

    dice: random.Random
    strong: bool
    dated: bool
    versions: list[bytes] = attrs.field(factory=list)
    files: int = 0

    def change(self) -> None:
        """Put another version in the file's place."""
        self.versions.append(self.dice.randbytes(self.dice.randrange(1, 3000)))

    def reply(self, request: Heard) -> bytes:
        """The service's status, or an answer of the storage."""
        if request.path.startswith("/v1"):
            return self.sent("200 OK", orjson.dumps({"job_id": "x", "status": "completed", "result_url": URL}))
        self.files += 1
        if not self.versions or self.dice.random() < 0.05:
            self.change()
        if self.dice.random() < 0.3:
            return self.sent(self.dice.choice(["500 No", "503 No", "404 No", "403 No", "302 No", "416 No"]), b"no")
        answer = self.file(request.headers)
        return answer if self.dice.random() < 0.4 else answer[: self.dice.randrange(len(answer))]

    def file(self, headers: Mapping[str, str]) -> bytes:
        """The file, the part that was asked for or less, or the file in a coding."""
        data = self.versions[-1]
        if headers.get("if-range") in self.validators().values() and self.dice.random() < 0.8:
            start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                return self.sent("416 No", b"", f"Content-Range: bytes */{len(data)}")
            end = self.dice.choice([len(data), self.dice.randrange(start, len(data)) + 1])
            reported = self.dice.choice([str(len(data)), "*"])
            return self.sent("206 Partial", data[start:end], f"Content-Range: bytes {start}-{end - 1}/{reported}")
        if self.dice.random() < 0.2:
            return self.sent("200 OK", gzip.compress(data), "Content-Encoding: gzip")
        return self.sent("200 OK", data)

    def validators(self) -> dict[str, str]:
        """Those of the version that is there."""
        number = len(self.versions)
        tag = f'"{number}"' if self.strong else f'W/"{number}"'
        date = {"Last-Modified": f"Tue, 21 Oct 2025 07:{number:02}:00 GMT"} if self.dated else {}
        return {"ETag": tag, **date}

    def sent(self, status: str, body: bytes, *headers: str) -> bytes:
        """An answer whose end is given by a length or by a last chunk."""
        reported = [f"{name}: {value}" for name, value in self.validators().items()]
        if self.dice.random() < 0.5:
            frame = f"Content-Length: {len(body)}"
        else:
            middle = len(body) // 2
            pieces = [piece for piece in (body[:middle], body[middle:]) if piece]
            frame = "Transfer-Encoding: chunked"
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return "\r\n".join([f"HTTP/1.1 {status}", DATE, *reported, *headers, frame, "", ""]).encode() + body


URL = f"{MEMORY_URL}/file.bin"


@pytest.mark.parametrize("seed", range(60))
@virtual
async def test_one_version_or_none(seed: int, tmp_path: Path) -> None:
    """No file is ever mixed of two versions, cut short or kept encoded; every download ends, and leaves nothing else."""
    dice = random.Random(seed)
    storage = Storage(dice, strong=seed % 2 == 0, dated=seed % 3 > 0)
    async with client_of(RawServer(storage.reply, closing=True)) as client:
        for n in range(20):
            before, folder = storage.files, tmp_path / str(n)
            started = now()
            try:
                path = await client.save("try-on:x", folder)
            except TopazStatusError:
                assert not list(folder.iterdir())
            else:
                assert path.read_bytes() in storage.versions
                assert list(folder.iterdir()) == [path]
            assert storage.files - before < 100
            assert now() - started < 600
