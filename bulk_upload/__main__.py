"""`python -m bulk_upload` is `bulk-upload`."""

from bulk_upload.cli import main

main()
