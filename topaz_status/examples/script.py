"""A plain script: submit a job, wait for its end, save the result: ``python -m topaz_status.examples.script FOLDER``.

Watch out:

- A program calls ``asyncio.run`` once. Each call makes a new loop, and a client belongs to the loop that opened it.
- Ctrl-C ends the wait, never the job. Print the job's name first, so that ``topaz-status watch`` can go on later.
"""

import asyncio
import sys

from topaz_status import JobError, StatusClient, WatchTimeoutError
from topaz_status.examples.submitting import submit


async def main(folder: str) -> int:
    """Submit a job and save its result; return the exit code."""
    async with StatusClient() as client:
        job = await submit(duration=2.0)
        print(f"submitted {job}")
        try:
            await client.watch(job, timeout=600)
        except JobError as error:  # it failed, was canceled, expired, or is lost
            print(error)
            return 1
        except WatchTimeoutError as error:  # it goes on
            print(error)
            return 3
        path = await client.save(job, folder)
        print(f"saved {path}")
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
