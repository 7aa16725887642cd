"""Stores that are not S3, as far as the sandbox can stand in for them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import read_prefix
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.run.source import SourceChanged
from bulk_upload.edge.objects.listing import objects_under
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.sandbox.objects import (
    MemoryBucket,
    ObjectStore,
    ObjectStoreConfig,
    object_store_in_thread,
    parse_object_faults,
)
from tests.edge.objects.stage import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"content\n" * 100_000


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    objects = {f"x/{number:02}.txt": f"{number}" for number in range(30)}
    buckets = {
        "data": MemoryBucket({"a.txt": CONTENT, **objects}),
        "account": MemoryBucket(
            {"data/a.txt": CONTENT, **{f"data/{key}": one for key, one in objects.items()}}
        ),
    }
    with object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as running:
        yield running


@pytest.fixture
def stores(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Stores:
    key = {
        "gcs_base_url": store.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": "",
    }  # fmt: skip
    # As whoever uses an emulator of Google's store does.
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(key))
    azure = SourceOptions(
        home="az://data", account="account", access_key_id="cGxheQ==", endpoint=f"{store.url}/account"
    )
    return Stores([azure], allow_plain_http=True, stall_s=WAIT_S)


@pytest.mark.parametrize("scheme", ["gs", "az"])
async def test_read(store: ObjectStore, stores: Stores, scheme: str, request: pytest.FixtureRequest) -> None:
    """An object is looked up, read by one GET of the planned version, and continued where its answer breaks."""
    path = f"{scheme}://data/a.txt"
    with closing(Lookup(stores)) as lookup:
        lookup.expect([path, *(f"{scheme}://data/x/{number:02}.txt" for number in range(30))])
        lookup.look()
        planned = lookup.inspect(path)
        assert isinstance(lookup.inspect(f"{scheme}://data/x/07.txt"), Fingerprint)
    assert isinstance(planned, Fingerprint)
    reader = ObjectReader(stores)
    request.addfinalizer(reader.close)
    store.use_faults(parse_object_faults("drop-mid:0.4"))
    blocks = []
    async with reader.source(path, expected=planned) as stream:
        while block := await stream.read():
            blocks.append(block)
    assert b"".join(blocks) == CONTENT
    store.use_faults(parse_object_faults("replace"))
    with pytest.raises(SourceChanged):
        async with reader.source(path, expected=planned):
            pass


def test_list_of_google(stores: Stores) -> None:
    """Google's store lists as S3 does."""
    found = [str(one.address) for one in objects_under(stores, read_prefix("gs://data/x"))]
    assert found == [f"gs://data/x/{number:02}.txt" for number in range(30)]
