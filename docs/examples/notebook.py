"""Cells of a notebook: run the first one again after an interrupt, and it goes on."""

# %%
from bulk_upload import upload

result = upload("manifest.jsonl", progress=True)

# %%
{row.path: row.file_id for row in result.accepted}

# %%
[(row.path, row.reason) for row in result.failures + result.in_doubt]
