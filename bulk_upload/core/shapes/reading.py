"""One record while it is converted: which of its values were used, and what becomes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import NOT_JSON, is_array, is_empty, is_object, is_text, object_of
from bulk_upload.core.shapes.messages import Account, system_text, with_system
from bulk_upload.core.shapes.names import SYSTEM_KEYS, present
from bulk_upload.core.shapes.target import CannotConvert, Mapped, other_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.shapes.json_values import Json, Record
    from bulk_upload.core.shapes.target import Target


class Reading:
    """A record whose values are taken one by one; those that are left stay beside what is made of the others."""

    def __init__(self, text: Json, record: Record, target: Target) -> None:
        self.text = text
        self.record = record
        self.keys = tuple(record)
        self.target = target
        self.account = Account()
        self._used: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether there is a value that says something."""
        value = self.record.get(name)
        return value is not None and not is_empty(value)

    def first_of(self, names: tuple[str, ...]) -> str | None:
        """Return the first of `names` with a value that says something."""
        for name in present(names, self.keys):
            if not is_empty(self.record[name]):
                return name
        return None

    def take(self, name: str) -> Json:
        """Return a value, which is not kept under its old name."""
        self._used.add(name)
        return self.record[name]

    def take_if_any(self, name: str) -> Json | None:
        """Return a value that says something; one that does not is left out."""
        if name not in self.record:
            return None
        value = self.take(name)
        if not is_empty(value):
            return value
        self.account.empty.append(name)
        return None

    def put_back(self, name: str, value: Json) -> None:
        """Keep what is left of a value that was taken."""
        self.record[name] = value
        self._used.discard(name)

    def led_by_system(self, messages: list[Record]) -> list[Record]:
        """Return messages after the record's system prompt, if it has one. Raises CannotConvert."""
        for name in present(SYSTEM_KEYS, self.keys):
            value = self.record[name]
            if is_empty(value):
                self.take_if_any(name)
            elif is_text(value) or is_array(value) or is_object(value):
                try:
                    system = system_text(self.take(name), name, self.target, self.account)
                except NOT_JSON:
                    raise CannotConvert(f"has a system prompt that cannot be read: {name}") from None
                messages = with_system(messages, system)
        return messages

    def made(self, fields: Mapping[str, Json], shape: str) -> Mapped:
        """Return the record with new fields where its first used value was, and its other values as they are.

        There is no place for a value that would make it data of another purpose.
        """
        if not self.account.is_changed and self._used == fields.keys():
            return Mapped(self.text, shape, tuple(self.account.lost), is_same=not self.account.lost)
        made: dict[str, Json] = {}
        for name, value in self.record.items():
            if name in self._used:
                made.update(fields)
            elif name in fields:
                (self.account.empty if is_empty(value) else self.account.lost).append(name)
            else:
                made[name] = value
        if not fields.keys() <= made.keys():
            made = {**fields, **made}
        for name in other_fields(tuple(fields), tuple(made)):
            self.account.lost.append(name)
            del made[name]
        return Mapped(object_of(made), shape, tuple(self.account.lost), tuple(self.account.empty))
