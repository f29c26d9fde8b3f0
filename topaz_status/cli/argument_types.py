"""Types of command line values: each function reads a text, or refuses it and says what to write instead."""

from __future__ import annotations

import argparse
import math
import re
from typing import Final

from ..errors import ConfigurationError
from ..models.job import JobRef
from ..session.secret import Secret
from .job_arguments import STDIN

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)?")
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_UNITS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def a_job(text: str) -> JobRef | str:
    """Read a JOB: the name of a job, or ``-``."""
    try:
        return text if text == STDIN else JobRef.parse(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def a_proxy(text: str) -> Secret:
    """Read the URL of a proxy, which may hold a password; ``none`` becomes an empty URL."""
    from ..session.http.network import make_proxy  # noqa: PLC0415  # loads ssl, which most command lines need later or never

    if not text:
        raise argparse.ArgumentTypeError("URL is empty: write http://host:3128, or 'none' to use no proxy")
    url = Secret("" if text == "none" else text)
    try:
        make_proxy("URL", url)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return url


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def positive(text: str) -> float:
    """Read a number above 0."""
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def at_least_one(text: str) -> float:
    """Read a number of 1 or more."""
    value = _number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def count(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def a_size(text: str) -> int:
    """Read a size in bytes, or a number with its unit: ``500000``, ``20MB``, ``2GiB``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 500000, 20MB or 2GiB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kmgt".index(match[2].lower() or " "))


def a_span(text: str) -> float:
    """Read a time in seconds, or a number with its unit: ``90``, ``10min``, ``2h``, ``7d``."""
    match = _SPAN.fullmatch(text.strip())
    value = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: write 90, 10min, 2h or 7d")
    return value
