"""An object store on loopback, which speaks as S3 does and as a plain web server, and fails in the ways you ask for."""

from bulk_upload.sandbox.objects.buckets import (
    Bucket,
    FolderBucket,
    MemoryBucket,
    NumberedBucket,
    StoredObject,
    buckets_of_folder,
)
from bulk_upload.sandbox.objects.contents import BytesContent, Content, MadeLines
from bulk_upload.sandbox.objects.fault_text import parse_object_faults, parse_object_step
from bulk_upload.sandbox.objects.faults import (
    EtagKind,
    ObjectFaultKind,
    ObjectFaults,
    ObjectStep,
    RequestKind,
)
from bulk_upload.sandbox.objects.server import ObjectStore, ObjectStoreConfig, object_store_in_thread
from bulk_upload.sandbox.objects.service import ObjectRequest

__all__ = [
    "Bucket",
    "BytesContent",
    "Content",
    "EtagKind",
    "FolderBucket",
    "MadeLines",
    "MemoryBucket",
    "NumberedBucket",
    "ObjectFaultKind",
    "ObjectFaults",
    "ObjectRequest",
    "ObjectStep",
    "ObjectStore",
    "ObjectStoreConfig",
    "RequestKind",
    "StoredObject",
    "buckets_of_folder",
    "object_store_in_thread",
    "parse_object_faults",
    "parse_object_step",
]
