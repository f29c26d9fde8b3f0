"""Names and writes result files. A name cannot lead out of its folder. A file has its name only once it is complete."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import attrs

from ..errors import ConfigurationError
from ..models.job import JobRef
from ..models.redact import quoted

_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_LONGEST_NAME: Final = 255
"""Bytes; file systems accept no longer name."""
_LONGEST_ID: Final = 200
"""Characters; at most so many of an id go into the name of a file."""
_LEADS_OUT: Final = re.compile(r'[/\\:<>"|?*]')
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE
)
"""Names that mean a device on Windows, even with a suffix."""


def file_name(name: str) -> str:
    """Return ``name`` if it is a plain file name, which means the same file on every system.

    Raises:
        ConfigurationError: ``name`` could lead out of the folder, is too long, or is no file name.
    """
    if not isinstance(name, str) or not all(map(_is_plain, (name, unicodedata.normalize("NFKC", name)))):
        raise ConfigurationError(f"name must be a plain file name without folders, not {quoted(name)}")
    if len(name.encode()) > _LONGEST_NAME:
        raise ConfigurationError(f"name must be a plain file name of at most {_LONGEST_NAME} bytes")
    return name


def _is_plain(name: str) -> bool:
    """Return true if a name is no path and no device, and shows all its characters."""
    return (
        name.isprintable()
        and name.strip(" .") != ""
        and not name.endswith((" ", "."))
        and not name.startswith(" ")
        and _LEADS_OUT.search(name) is None
        and _DEVICE.fullmatch(name) is None
    )


def default_name(job: JobRef, url: str, content_type: str | None) -> str:
    """Return a name such as ``image-ID.jpeg``: one name per job, independent of the service's name for the file."""
    suffix = Path(urlsplit(url).path).suffix
    if not _SUFFIX.fullmatch(suffix):
        suffix = mimetypes.guess_extension((content_type or "").partition(";")[0].strip()) or ""
    return f"{job.kind.value}-{_id_in_name(job.id)}{suffix.lower()}"


def _id_in_name(job_id: str) -> str:
    """Return an id in characters that a file's name may hold; a changed id gets a digest, so that it stays unique."""
    text = re.sub(r"[^A-Za-z0-9._-]", "_", job_id)[:_LONGEST_ID]
    if text == job_id and not text.endswith("."):
        return text
    return f"{text}-{hashlib.blake2s(job_id.encode(), digest_size=6).hexdigest()}"


@attrs.define(eq=False)
class PartialFile:
    """A file that is not whole yet: it has a temporary name, and only its owner may read it."""

    path: Path
    _file: BinaryIO

    @classmethod
    def make(cls, folder: Path) -> PartialFile:
        """Create a new file in ``folder``; no existing file or link is opened."""
        handle, path = tempfile.mkstemp(prefix=".topaz-", suffix=".part", dir=folder)
        return cls(Path(path), os.fdopen(handle, "wb"))

    def write(self, data: bytes) -> None:
        """Append ``data`` to the file."""
        self._file.write(data)

    def rewind(self) -> None:
        """Empty the file."""
        self._file.seek(0)
        self._file.truncate()

    def finish(self, target: Path) -> None:
        """Give the whole file its own name, in one step. A link of that name is replaced, not followed."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if hasattr(os, "fchmod"):  # by its descriptor: its path could name another file by now
            os.fchmod(self._file.fileno(), 0o666 & ~_umask())
        self._file.close()
        self.path.replace(target)

    def discard(self) -> None:
        """Remove the file; quick enough to run even during a cancellation."""
        try:
            self._file.close()
        finally:  # closing flushes, which fails on a full disk
            self.path.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
