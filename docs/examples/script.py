"""A script: shows progress in a terminal, and its exit code is that of `bulk-upload run`."""

import sys

from bulk_upload import upload

result = upload("manifest.jsonl", progress=True)
print(result.summary())
sys.exit(result.status)
