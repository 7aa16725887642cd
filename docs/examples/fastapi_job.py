"""A background job of FastAPI: the request returns at once, and another one asks how far it is."""

from fastapi import BackgroundTasks, FastAPI

from bulk_upload import read_ledger, upload_async

app = FastAPI()


@app.post("/upload")
async def start(jobs: BackgroundTasks) -> None:
    jobs.add_task(upload_async, "manifest.jsonl", ledger="job.ledger.db")


@app.get("/upload")
def rows() -> list[dict[str, object]]:
    return read_ledger("job.ledger.db")
