"""Many processes, one account, over Redis or Valkey: ``StatusClient(coordinator=RedisCoordinator("rediss://…"))``.

This folder alone imports ``redis``, with the extra of that name: ``pip install "topaz-status[redis]"``.
"""

from .coordinator import RedisCoordinator

__all__ = ["RedisCoordinator"]
