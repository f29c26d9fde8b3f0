"""One client a file, on one machine: a lock that the system takes back from a process however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import attrs

from ..errors import StoreError

_PID_LENGTH: Final = 32


@attrs.define
class FileLock:
    """``FILE.lock`` beside the file, held while the store is open; it names who holds it, and is left there."""

    path: Path
    _descriptor: int | None = attrs.field(default=None, init=False)

    def take(self) -> None:
        """Take it, at once or not at all.

        Raises:
            StoreError: somebody else has it.
            OSError: it cannot be made.
        """
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            holder = os.pread(descriptor, _PID_LENGTH, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = "another client of this process" if holder == str(os.getpid()) else f"process {holder or 'unknown'}"
            text = f"is in use by {who}: one client a file at a time"
            raise StoreError(text, path=str(self.path)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _PID_LENGTH, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
