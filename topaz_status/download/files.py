"""Names and places of result files: every name stays in its folder, and nothing half-written is ever there."""

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
"""Bytes that file systems take."""
_LONGEST_ID: Final = 200
"""Characters of an id that a file's name holds."""
_LEADS_OUT: Final = re.compile(r'[/\\:<>"|?*]')
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE
)
"""Names that mean a device, and no file, on Windows; with any suffix, too."""


def file_name(name: str) -> str:
    """Let a plain file name pass, one that means the same file on every system.

    Raises:
        ConfigurationError: it could lead out of the folder, or is no name.
    """
    if not isinstance(name, str) or not all(map(_is_plain, (name, unicodedata.normalize("NFKC", name)))):
        raise ConfigurationError(f"name must be a plain file name without folders, not {quoted(name)}")
    if len(name.encode()) > _LONGEST_NAME:
        raise ConfigurationError(f"name must be a plain file name of at most {_LONGEST_NAME} bytes")
    return name


def _is_plain(name: str) -> bool:
    """True for a name that is no path, no device, and looks like what it is."""
    return (
        name.isprintable()
        and name.strip(" .") != ""
        and not name.endswith((" ", "."))
        and not name.startswith(" ")
        and _LEADS_OUT.search(name) is None
        and _DEVICE.fullmatch(name) is None
    )


def default_name(job: JobRef, url: str, content_type: str | None) -> str:
    """``image-ID.jpeg``: one name for each job, whatever the service calls its file."""
    suffix = Path(urlsplit(url).path).suffix
    if not _SUFFIX.fullmatch(suffix):
        suffix = mimetypes.guess_extension((content_type or "").partition(";")[0].strip()) or ""
    return f"{job.kind.value}-{_id_in_name(job.id)}{suffix.lower()}"


def _id_in_name(job_id: str) -> str:
    """An id as it may stand in a file's name; one that may not as it is, is told from others by a digest."""
    text = re.sub(r"[^A-Za-z0-9._-]", "_", job_id)[:_LONGEST_ID]
    if text == job_id and not text.endswith("."):
        return text
    return f"{text}-{hashlib.blake2s(job_id.encode(), digest_size=6).hexdigest()}"


@attrs.define(eq=False)
class PartialFile:
    """A file under a temporary name of its own, which nobody else may read, until it is whole."""

    path: Path
    _file: BinaryIO

    @classmethod
    def make(cls, folder: Path) -> PartialFile:
        """Make one, where there was none; no link that somebody else put there is followed."""
        handle, path = tempfile.mkstemp(prefix=".topaz-", suffix=".part", dir=folder)
        return cls(Path(path), os.fdopen(handle, "wb"))

    def write(self, data: bytes) -> None:
        """Add to its end."""
        self._file.write(data)

    def rewind(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()

    def finish(self, target: Path) -> None:
        """From here on the file is there, whole; before, it is not. A link of that name is replaced, not followed."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if hasattr(os, "fchmod"):  # by its descriptor: what lies under its path by now could be another's
            os.fchmod(self._file.fileno(), 0o666 & ~_umask())
        self._file.close()
        self.path.replace(target)

    def discard(self) -> None:
        """Leave nothing behind; quick enough to be done even while a cancellation is on its way."""
        try:
            self._file.close()
        finally:  # closing flushes, which a full disk refuses
            self.path.unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
