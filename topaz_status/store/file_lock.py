"""A lock that allows one client per file on one machine. The system releases it whenever its process ends."""

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
    """``FILE.lock`` beside the file, locked while the store is open. It holds the process id, and is never deleted."""

    path: Path
    _descriptor: int | None = attrs.field(default=None, init=False)

    def take(self) -> None:
        """Lock the file, or fail at once.

        Raises:
            StoreError: another client has the lock.
            OSError: the lock file cannot be made.
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
        """Release the lock, if it is held."""
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
