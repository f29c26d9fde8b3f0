"""A task for a queue's workers, here taskiq's: ``taskiq worker topaz_status.examples.worker_task:broker``.

Watch out:

- Open one client as the worker starts, not one in each task: all tasks of the process then share one budget.
- Several worker processes each have a budget of their own: give each its share of ``rate``.
- The task is given a job that was submitted already. A queue repeats a task whose worker died; a task that submits
  would then pay twice.
- A wait holds one slot of the worker, so allow many tasks at a time (``--max-async-tasks``). They cost little.
- Workers whose tasks are plain functions, such as Celery's, call as the page on callers that are not async shows. Open
  the client after the fork there: in ``worker_process_init``.
"""

from typing import Annotated

from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqEvents, TaskiqState

from topaz_status import StatusClient

broker = InMemoryBroker()  # in production, one that reaches other processes


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    """Open the worker's client."""
    state.client = await StatusClient(rate=5).open()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def stop(state: TaskiqState) -> None:
    """Close it; tasks that still wait raise ``ClientClosedError``, and the queue repeats them."""
    await state.client.aclose()


@broker.task
async def wait_for(job: str, context: Annotated[Context, TaskiqDepends()]) -> dict[str, str | None]:
    """Wait for the end of a job; its failure is a result, too, not a reason to repeat the task."""
    client: StatusClient = context.state.client
    [outcome] = await client.outcomes([job], timeout=3600)
    return {"job": job, "state": outcome.state, "error": str(outcome.error) if outcome.error else None}
