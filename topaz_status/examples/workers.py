"""Several workers: ``WEB_CONCURRENCY=2 uvicorn topaz_status.examples.workers:app`` (POSIX; on Windows run one worker).

Each worker has its share of the budget, and takes the first store file that no other worker has.
"""

import fcntl
import os

from fastapi import FastAPI

from topaz_status import SQLiteStore, StatusClient
from topaz_status.fastapi import PUBLIC, status_lifespan, status_router

WORKERS = int(os.environ.get("WEB_CONCURRENCY", "1"))  # uvicorn and gunicorn read it too
RATE, BURST = 20.0, 10.0  # of the whole account
locks: list[int] = []  # open for as long as this process lives


def take_number() -> int:
    """Take the lowest number that no other worker has; it is free again when this process ends."""
    for number in range(WORKERS):
        lock = os.open(f"worker-{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            locks.append(lock)
            return number
    raise RuntimeError("there are more workers than WEB_CONCURRENCY says")


def new_client() -> StatusClient:
    """Make the client of one worker."""
    store = SQLiteStore(f"watches-{take_number()}.db")
    return StatusClient(rate=RATE / WORKERS, burst=max(1.0, BURST / WORKERS), store=store)


app = FastAPI(lifespan=status_lifespan(new_client))
app.include_router(status_router(authorize=PUBLIC))
