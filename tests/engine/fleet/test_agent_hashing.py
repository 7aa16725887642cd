"""An agent hashes a file with the function that it is asked for, or says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.fleet.messages import Hash, Hashed
from bulk_upload.core.model import Fingerprint
from bulk_upload.engine.fleet.agent_work import AgentWork
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.run.sender import Sender

PRINT = Fingerprint(size=1, mtime_ns=2, inode=3)


class Hashing:
    """A sender that can make one kind of hash."""

    async def hash_content(self, path: str, function: HashFunction, **_: Any) -> tuple[str, Fingerprint]:
        """Return the hash of any file."""
        if function is not HashFunction.SHA256:
            raise UsageError("hashes of blake3 need the package blake3")
        return "a" * 64, PRINT


async def answer_to(question: Hash) -> Hashed:
    """Return what an agent answers."""
    said: list[Any] = []
    work = AgentWork(
        cast("Sender", Hashing()),
        is_open=lambda: True,
        pace=lambda _: None,
        post=said.append,
        handed_bytes=lambda: 0,
    )
    async with anyio.create_task_group() as tasks:
        await work.act(question, tasks)
    (answer,) = said
    assert isinstance(answer, Hashed)
    return answer


async def test_a_function_that_an_agent_lacks_is_no_fault_of_the_file() -> None:
    """The receipt of an earlier run needs it: the file counts as one that cannot be looked into now."""
    asked = Hash(req=1, path=b"a", function=HashFunction.BLAKE3, expected=None, ranges=())
    fault = (await answer_to(asked)).fault
    assert fault is not None
    assert (fault.inaccessible, fault.transient) == (True, False)
    assert "the package blake3" in fault.reason


async def test_the_answer_has_the_hash_and_the_version() -> None:
    """As the file was then."""
    asked = Hash(req=1, path=b"a", function=HashFunction.SHA256, expected=None, ranges=())
    answer = await answer_to(asked)
    assert (answer.content_hash, answer.fingerprint, answer.fault) == ("a" * 64, PRINT, None)
