"""A thread: the upload goes on while the program does something else."""

from concurrent.futures import ThreadPoolExecutor

from bulk_upload import upload

with ThreadPoolExecutor() as pool:
    uploading = pool.submit(upload, "manifest.jsonl")
    print("something else")
    print(uploading.result().summary())
