"""The scripts that run on the server: loaded from the package, sent once, and called by their digests."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol

import attrs

FLAGS: Final = "#!lua flags=allow-oom\n"
"""A server without memory to spare still runs these scripts: what they write is bounded."""


class Commands(Protocol):
    """The one method of redis-py's clients that is used."""

    async def execute_command(self, *args: Any) -> Any:
        """Send a command, and return its answer."""


@attrs.frozen
class Script:
    """One script."""

    text: str
    digest: str

    async def run(self, client: Commands, keys: list[str], arguments: list[Any]) -> Any:
        """Run it, and send its text if the server does not know it."""
        from redis.exceptions import NoScriptError  # noqa: PLC0415  # loaded with the first coordinator

        try:
            return await client.execute_command("EVALSHA", self.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)


@cache
def script(name: str, *, flags: bool) -> Script:
    """Return the script ``lua/{name}.lua``; servers before Redis 7.0 know no ``flags``."""
    folder = files(__package__) / "lua"
    parts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("steady", name)]
    text = (FLAGS if flags else "") + "\n".join(parts)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
