"""One file: the second call sends nothing and has the same id."""

from pathlib import Path

from bulk_upload import upload

for path in sorted(Path("data").glob("*.jsonl")):
    print(path, upload(path, purpose="fine-tune").file_id)
