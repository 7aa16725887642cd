"""The servers that uploads are measured against, all on 127.0.0.1."""
