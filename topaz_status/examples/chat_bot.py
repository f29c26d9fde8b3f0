"""Progress in a chat: one message that is edited as a job goes on, as with Discord's or Slack's libraries.

Watch out:

- Chats allow few edits: about one a second for a message. So the loop sleeps after each edit. ``updates()`` queues
  nothing meanwhile: it goes on with the newest status, and never misses the last one.
- An edit may fail while the job goes on. Show the end in any case: the result matters more than the bar.
- A link to a result is as good as a key: post the file, or a link of your own, not ``result_url``.
"""

import asyncio
from typing import Protocol

from topaz_status import JobRef, StatusClient, TopazStatusError

PAUSE = 2.0
"""Seconds between two edits."""


class Message(Protocol):
    """A message of the bot's, such as ``discord.Message``."""

    async def edit(self, *, content: str) -> object:
        """Replace the text."""


async def show_progress(client: StatusClient, job: JobRef, message: Message) -> None:
    """Edit the message until the job has ended."""
    try:
        async with client.watch(job, timeout=3600) as watch:
            async for status in watch.updates():
                if not status.is_terminal:
                    await edit(message, bar(status.progress))
                    await asyncio.sleep(PAUSE)
            await watch
    except TopazStatusError as error:  # the text holds no key and no link
        await edit(message, f"No result: {error}")
    else:
        await edit(message, "Done.")


def bar(progress: float | None) -> str:
    """Draw 0 to 100 percent as ten squares."""
    if progress is None:
        return "waiting"
    full = round(progress / 10)
    return "■" * full + "□" * (10 - full) + f" {progress:.0f} %"


async def edit(message: Message, text: str) -> None:
    """Edit the message; the chat's own trouble ends no wait."""
    try:
        await message.edit(content=text)
    except Exception as error:  # noqa: BLE001  # each chat's library has errors of its own
        print(f"could not edit the message: {error}")
