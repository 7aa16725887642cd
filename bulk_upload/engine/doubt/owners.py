"""Whose an id is that came with one answer, and that the ledger or the server's list shows as another upload's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.doubt.adoption import Sameness
from bulk_upload.core.run.reconcile import Undecided, matches
from bulk_upload.core.text.name_forms import Likeness, likeness
from bulk_upload.edge.ledger import BY_RECONCILIATION
from bulk_upload.edge.ledger.owned_ids import (
    claims,
    have_other_contents,
    may_be_sent_by_another,
    rival_claims,
    sent_by_another,
)
from bulk_upload.edge.ledger.reading.run_receipts import receipt_by_answer
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.after.withdrawing import Withdrawals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.server_habits import ServerHabits
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.owned_ids import Claim
    from bulk_upload.engine.doubt.comparing import Comparer
    from bulk_upload.engine.limits.drain import Drain


class Owners:
    """Compares what the server shows of an id with what the uploads sent that claim it.

    A receipt that rests on an answer alone is withdrawn where the server shows its file as another's, and questioned where
    its id came with an answer to another entry, too: its entry is then in doubt, like the other one. `on_withdrawn` is called
    with such a receipt once that is recorded.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        clock: Clock,
        emit: Callable[[Event], None],
        habits: ServerHabits,
        on_withdrawn: Callable[[HeldReceipt], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._habits = habits
        self._on_withdrawn = on_withdrawn
        self._withdrawals = Withdrawals(ledger=ledger, clock=clock, emit=emit, decided_by=BY_RECONCILIATION)

    async def claims(self, file_ids: Iterable[str]) -> dict[str, Claim]:
        """Return the receipts that the ledger has for some ids."""
        wanted = sorted(file_ids)
        if not wanted:
            return {}
        return await self._ledger.run(lambda store: claims(store.connection, wanted))

    def could_be(self, file: ListedFile, sent: Claim | Doubt) -> bool:
        """Whether a file may be what an upload sent, by what the list shows."""
        return self._habits.could_be(
            file, name=sent.sent_name, purpose=sent.purpose, file_bytes=sent.file_bytes
        )

    async def own(self, doubt: Doubt) -> set[str]:
        """Return the doubt's own candidate where an earlier version of its entry has a receipt for it.

        Servers that make ids of contents or names give the same one again.
        """
        if doubt.candidate_id is None:
            return set()
        claimed = await self.claims([doubt.candidate_id])
        return {file_id for file_id, claim in claimed.items() if claim.entry_id == doubt.entry_id}

    async def question(self, file_id: str) -> None:
        """Put the entry in doubt that has a receipt for an id which came with an answer to another entry, too."""
        held = await self._held(file_id)
        if held is not None:
            await self._withdrawals.as_shared(held)
            self._on_withdrawn(held)

    async def sent_other_contents(self, attempt_ids: Collection[int]) -> bool:
        """Whether it is known that no two of some attempts sent the same bytes."""
        return await self._ledger.run(lambda store: have_other_contents(store.connection, attempt_ids))

    async def has_new_name(self, file: ListedFile, doubt: Doubt) -> bool:
        """Whether a file has a name unlike the one that is in doubt, and that no other upload of its size had."""
        name, size = file.filename, file.bytes
        if name is None or size is None or likeness(doubt.sent_name, name) is not Likeness.UNLIKE:
            return False
        is_sent = partial(sent_by_another, entry_id=doubt.entry_id, sent_name=name, file_bytes=size)
        return not await self._ledger.run(lambda store: is_sent(store.connection))

    async def theirs(self, doubt: Doubt, suspected: Iterable[ListedFile]) -> set[str]:
        """Return the doubt's own candidate where it is what another entry sent: the server crossed two answers."""
        unlike = [
            (one.file_id, one.filename, one.bytes)
            for one in suspected
            if one.file_id == doubt.candidate_id
            and one.filename is not None
            and one.bytes is not None
            and likeness(doubt.sent_name, one.filename) is Likeness.UNLIKE
        ]
        if not unlike:
            return set()

        def crossed(store: LedgerStore) -> set[str]:
            return {
                file_id
                for file_id, name, size in unlike
                if may_be_sent_by_another(
                    store.connection, entry_id=doubt.entry_id, sent_name=name, file_bytes=size
                )
            }

        return await self._ledger.run(crossed)

    async def rivals(self, doubt: Doubt, suspected: Iterable[ListedFile]) -> set[str]:
        """Return ids that came with the answer to another entry in doubt, which may have sent just that file."""
        usable = {one.file_id: one for one in suspected if one.has_id}
        if not usable:
            return set()
        claimed = await self._ledger.run(
            lambda store: rival_claims(store.connection, entry_id=doubt.entry_id, file_ids=usable)
        )
        return {file_id for file_id, claim in claimed if self.could_be(usable[file_id], claim)}

    async def disputed(
        self, doubt: Doubt, suspected: Iterable[ListedFile], claimed: dict[str, Claim]
    ) -> set[str]:
        """Return ids whose receipt is of an upload that sent something else, and that are shown as the doubtful one.

        The id of a receipt that could be withdrawn is no longer among the `claimed` ones.
        """
        disputed = set()
        for one in suspected:
            claim = claimed.get(one.file_id) if one.has_id else None
            if claim is None or not self._is_disputed(one, doubt, claim):
                continue
            disputed.add(one.file_id)
            may_be_respelt = likeness(claim.sent_name, str(one.filename)) is Likeness.RESPELT
            held = None if may_be_respelt else await self._held(one.file_id)
            if held is not None:
                await self._withdrawals.as_anothers(held, "its list names another entry's")
                self._on_withdrawn(held)
                del claimed[one.file_id]
        return disputed

    def _is_disputed(self, file: ListedFile, doubt: Doubt, claim: Claim) -> bool:
        """Whether a file is shown as what is in doubt, and not as what its receipt says."""
        if matches(doubt, file):
            return not _is_as_sent(file, claim)
        return self.could_be(file, doubt) and not self.could_be(file, claim)

    async def _held(self, file_id: str) -> HeldReceipt | None:
        """Return the receipt of an accepted entry for an id, if it rests on an answer alone."""
        return await self._ledger.run(lambda store: receipt_by_answer(store, file_id=file_id))


class OwnerCheck:
    """Asks the server whose an id is that two answers had."""

    def __init__(self, *, owners: Owners, comparer: Comparer, profile: Profile, drain: Drain) -> None:
        self._owners = owners
        self._comparer = comparer
        self._profile = profile
        self._drain = drain

    async def unclear(self, doubt: Doubt) -> Undecided | None:
        """Question the receipt that another entry has for the id that came with the answer, unless it is shown to hold.

        Return the doubt where that cannot be found out now.
        """
        candidate_id = doubt.candidate_id
        claim = (
            None if candidate_id is None else (await self._owners.claims([candidate_id])).get(candidate_id)
        )
        if candidate_id is None or claim is None or claim.entry_id == doubt.entry_id:
            return None
        holds = await self._holds(candidate_id, claim, doubt)
        if holds is None:
            return Undecided(
                f"the server answered with {candidate_id}, which is another entry's receipt already"
            )
        if not holds:
            await self._owners.question(candidate_id)
        return None

    async def _holds(self, file_id: str, claim: Claim, doubt: Doubt) -> bool | None:
        """Whether the server shows that a file is what its receipt says, and not what the doubt is about.

        None where it cannot be asked now.
        """
        if not self._profile.can_list:
            return False
        with self._drain.cut():
            try:
                file = await self._comparer.look_up(file_id)
                if file is None:
                    return False
                is_theirs = self._owners.could_be(file, claim)
                if is_theirs != self._owners.could_be(file, doubt):
                    return is_theirs
                return (
                    is_theirs
                    and await self._comparer.sameness(claim.attempt_id, file) is Sameness.SAME
                    and await self._comparer.sameness(doubt.attempt_id, file) is Sameness.OTHER
                )
            except NoAnswer as error:
                return False if error.final else None
        return None


def _is_as_sent(file: ListedFile, claim: Claim) -> bool:
    return (file.filename, file.bytes, file.purpose) == (claim.sent_name, claim.file_bytes, claim.purpose)
