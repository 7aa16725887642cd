"""A dry run: what would be sent and why, without a key and without a request."""

from bulk_upload import plan

planned = plan("manifest.jsonl", on_entry=lambda one: print(one.step, one.entry.path, one.note))
for step, total in planned.totals.items():
    print(step, total.entry_count, total.file_bytes)
