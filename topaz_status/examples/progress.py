"""Progress in a browser: open http://127.0.0.1:8000/ and press the button; all jobs are at ``/status/``."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from topaz_status.examples.submitting import submit
from topaz_status.fastapi import PUBLIC, ClientDep, status_lifespan, status_router

PAGE = """<!doctype html>
<button>Submit</button> <progress max="100" value="0"></progress> <output></output>
<script>
document.querySelector("button").onclick = async () => {
  const {events} = await (await fetch("images", {method: "POST"})).json();
  const source = new EventSource(events);
  source.addEventListener("status", event => {
    const {state, progress, error} = JSON.parse(event.data);
    document.querySelector("progress").value = progress ?? 0;
    document.querySelector("output").textContent = error ?? state ?? "submitted";
    if (["completed", "failed", "canceled", "expired"].includes(state) || error) source.close();
  });
};
</script>"""

app = FastAPI(lifespan=status_lifespan(rate=20))
app.include_router(status_router(authorize=PUBLIC), prefix="/status")  # your app decides who may see which job


@app.post("/images", status_code=202)
async def image(client: ClientDep) -> dict[str, str]:
    """Submit a job, and answer with the URL of its events."""
    job = await submit(duration=2.0)
    client.watch(job)
    return {"events": f"status/jobs/{job.kind}/{job.id}/events"}


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """Answer with the page."""
    return PAGE
