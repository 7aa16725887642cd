"""The sender of a command that sends itself, beside agents that join it: each file goes to whoever has the least to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.fleet.messages import Prepared
from bulk_upload.core.run.sender import PreparedFile
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.fleet.fleet_sender import take_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.events import AgentNow, BodyNow
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.sender import (
        BundleReport,
        BundleRequest,
        PrepareRequest,
        UploadReport,
        UploadRequest,
    )
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.engine.fleet.cap_shares import OwnShare
    from bulk_upload.engine.fleet.crew import Crew
    from bulk_upload.engine.fleet.fleet_sender import Answer, FleetSender
    from bulk_upload.engine.fleet.member import Member
    from bulk_upload.engine.sending.local_sender import LocalSender

ALONE_BYTES = 256 * 1024 * 1024
"""What the command has in flight at most while agents are about to join, beside one file of any size: less than one process
sends in the time that they take, so that a few large files are not all begun before anybody else is there."""

OWN_WEIGHT = 1.5
"""How much a large file counts that the command has, beside one of an agent: it also plans, records and serves the agents."""


class _Part(NamedTuple):
    """The places of the files in a batch that go to an agent, or to the command itself where that is None."""

    member: Member | None
    places: list[int]


class SharedSender:
    """`Sender` of the command itself and its agents.

    What the command sends has no agent and is what a run of one process sends. With no agent there, it sends everything.

    Args:
        own: sends from this process.
        fleet: has agents send; `own` and it number their files from one row.
        share: of the bandwidth cap, for `own`.
        keeps_together: whoever gets small files gets whole batches of them, which may then go in one request.
    """

    def __init__(
        self,
        own: LocalSender,
        fleet: FleetSender,
        crew: Crew,
        share: OwnShare,
        *,
        keeps_together: bool = False,
    ) -> None:
        self._own = own
        self._fleet = fleet
        self._crew = crew
        self._share = share
        self._keeps_together = keeps_together
        self._own_bytes: dict[int, int] = {}
        """The sizes of the files that the command holds or sends, the small ones apart."""
        self._opening_bytes = 0
        """The same of files that it is about to hold."""
        self._waiting_count = 0

    @property
    def busy_count(self) -> int:
        """How many calls wait for a disk, a process, an agent or the server now."""
        return self._own.busy_count + self._fleet.busy_count + self._waiting_count

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that were handed over, also of attempts that failed."""
        return self._own.wire_bytes + self._fleet.wire_bytes

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that were handed over."""
        return self._own.partial_bytes + self._fleet.partial_bytes

    async def prepare(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile | SourceError]:
        """Get files ready, here and by agents; what a lost one had goes to another one, or is read here."""
        prepared: dict[int, PreparedFile | SourceError] = {}
        self._waiting_count += 1
        try:
            while len(prepared) < len(requests):
                left = [place for place in range(len(requests)) if place not in prepared]
                await self._until_shared(requests, left)
                await self._prepare(requests, self._parts(left), prepared)
            return [prepared[place] for place in range(len(requests))]
        except BaseException:
            for file in prepared.values():
                if isinstance(file, PreparedFile):
                    await self.drop(file.number)
            raise
        finally:
            self._waiting_count -= 1

    async def _prepare(
        self,
        requests: Sequence[PrepareRequest],
        parts: Sequence[_Part],
        prepared: dict[int, PreparedFile | SourceError],
    ) -> None:
        """Get the parts of a batch ready, all at once; what an agent had that is lost is left out."""
        asked: list[tuple[Member, list[int], Answer]] = []
        try:
            for member, places in parts:
                if member is not None:
                    asked.append((member, places, self._fleet.ask(member, [requests[one] for one in places])))
            for member, places in parts:
                if member is None:
                    files = await self._prepare_here([requests[one] for one in places])
                    prepared |= zip(places, files, strict=True)
            while asked:
                member, places, answer = asked[0]
                found = await answer
                del asked[0]
                if isinstance(found, Prepared):
                    prepared |= zip(places, self._fleet.keep(member, found), strict=True)
        finally:
            for member, _, answer in asked:
                take_back(member, answer)

    async def _prepare_here(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile | SourceError]:
        opening_bytes = sum(one.planned_bytes for one in requests if one.planned_bytes > SMALL_FILE_BYTES_MAX)
        self._opening_bytes += opening_bytes
        try:
            files = await self._own.prepare(requests)
        finally:
            self._opening_bytes -= opening_bytes
        for file in files:
            if isinstance(file, PreparedFile) and file.fingerprint.size > SMALL_FILE_BYTES_MAX:
                self._own_bytes[file.number] = file.fingerprint.size
        return files

    def holds(self, number: int) -> bool:
        """Whether a prepared file can still be sent."""
        return self._own.holds(number) or self._fleet.holds(number)

    async def drop(self, number: int) -> None:
        """Release a prepared file that will not be sent."""
        if self._own.holds(number):
            self._own_bytes.pop(number, None)
            await self._own.drop(number)
            self._crew.on_room()
        else:
            self._fleet.let_go(number)

    async def send(self, number: int, request: UploadRequest) -> UploadReport:
        """Send a prepared file in one request, from where it is held."""
        if not self._own.holds(number):
            return await self._fleet.send(number, request)
        self._share.sending_count += 1
        try:
            return await self._own.send(number, request)
        finally:
            self._share.sending_count -= 1
            if self._own_bytes.pop(number, None) is not None:
                self._crew.on_room()

    async def send_bundle(self, numbers: Sequence[int], request: BundleRequest) -> BundleReport:
        """Send several prepared files in one request, from where they are held."""
        if not self._own.holds(numbers[0]):
            return await self._fleet.send_bundle(numbers, request)
        self._share.sending_count += 1
        try:
            return await self._own.send_bundle(numbers, request)
        finally:
            self._share.sending_count -= 1

    def cancelled(self, attempt_id: int) -> UploadReport | None:
        """Return, once, what is known of a request whose task was cancelled; None where none began."""
        return self._own.cancelled(attempt_id) or self._fleet.cancelled(attempt_id)

    def cancelled_bundle(self, attempt_id: int) -> BundleReport | None:
        """Return the same for a bundle, by its first attempt."""
        return self._own.cancelled_bundle(attempt_id) or self._fleet.cancelled_bundle(attempt_id)

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Have a file hashed by whoever has the least to do. Raises SourceError."""
        while (member := min(self._hands(), key=self._load)) is not None:
            found = await self._fleet.hashed_by(member, path, function, expected=expected, ranges=ranges)
            if found is not None:
                return found
        return await self._own.hash_content(path, function, expected=expected, ranges=ranges)

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""
        return self._own.bodies() + self._fleet.bodies()

    def agents(self) -> list[AgentNow]:
        """Return the agents of the run now."""
        return self._fleet.agents()

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""
        self._own.end_all(reason)
        self._fleet.end_all(reason)

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""
        return self._own.has_time_left(grace_s) or self._fleet.has_time_left(grace_s)

    async def _until_shared(self, requests: Sequence[PrepareRequest], places: list[int]) -> None:
        """Wait with a large file while agents are about to join and the command has enough to do by itself."""
        file_bytes = sum(requests[one].planned_bytes for one in places)

        def has_room() -> bool:
            own_bytes = self._opening_bytes + sum(self._own_bytes.values())
            return not own_bytes or own_bytes + file_bytes <= ALONE_BYTES

        await self._crew.until_joined(has_room)

    def _hands(self) -> list[Member | None]:
        """Return who can take files: agents first, so that they get what nobody has less to do for."""
        return [*self._crew.at_hand(), None]

    def _load(self, member: Member | None) -> float:
        return OWN_WEIGHT * self._own.load if member is None else member.load

    def _parts(self, places: list[int]) -> list[_Part]:
        """Divide files: a batch of small ones goes to agents above all, anything else to whoever has the least to do."""
        agents = self._crew.at_hand()
        if self._keeps_together or len(places) == 1 or not agents:
            return [_Part(min(self._hands(), key=self._load), places)]
        own_count = round(len(places) * self._own_share([one.load for one in agents]))
        loads = {member: member.load for member in agents}
        parts: dict[Member | None, list[int]] = {member: [] for member in (*agents, None)}
        for number, place in enumerate(places):
            # Spread over the batch: it is sent in order.
            if (number + 1) * own_count // len(places) > number * own_count // len(places):
                parts[None].append(place)
                continue
            least = min(agents, key=loads.__getitem__)
            loads[least] += 1
            parts[least].append(place)
        return [_Part(*one) for one in parts.items() if one[1]]

    def _own_share(self, loads: Sequence[int]) -> float:
        """Return what share of the next small files the command takes.

        Its event loop also serves the agents, which costs two thirds of what sending a small file does. So it takes its
        equal share only where all that is under way is at the agents, which are then no faster than it is, and nothing
        where they have nothing to do.
        """
        total = sum(loads) + self._own.load
        return sum(loads) / total / (len(loads) + 1) if total else 0.0
