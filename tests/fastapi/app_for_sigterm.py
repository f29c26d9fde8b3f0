"""An app as a user would write it, for uvicorn's own command line: the services are named by the environment."""

from __future__ import annotations

from fastapi import FastAPI

from topaz_status.fastapi import PUBLIC, status_lifespan, status_router

app = FastAPI(lifespan=status_lifespan(rate=500, burst=500))
app.include_router(status_router(authorize=PUBLIC))
