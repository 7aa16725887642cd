"""A retry of failures: only what failed is sent again, and nothing that was accepted."""

from bulk_upload import upload

result = upload("manifest.jsonl")
if result.failures:
    result = upload("manifest.jsonl", retry=["rejected", "invalid", "failed_local"], attempts_max=3)
for row in result.failures:
    print(row.path, row.status, row.reason)
