"""docs/reference/log.schema.json is made of the records' types: `python tests/docs/log_schema.py` writes it anew."""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import msgspec

import bulk_upload.core
from bulk_upload.core.model import Outcome
from bulk_upload.core.report.log_records import LOG_VERSION, Level, Record, name_of

FILE = Path(__file__).parents[2] / "docs" / "reference" / "log.schema.json"
COMMAND = "python tests/docs/log_schema.py"
RECORDS: tuple[type, ...] = typing.get_args(Record)


def known_names() -> dict[str, Any]:
    """Every name of the core: annotations may use names that are only imported for type checkers."""
    found: dict[str, Any] = {"Mapping": Mapping}
    for module in walk_packages(bulk_upload.core.__path__, "bulk_upload.core."):
        inner = vars(import_module(module.name))
        found |= {name: one for name, one in inner.items() if isinstance(one, type | types.UnionType)}
    return found


KNOWN = known_names()


def hints_of(kind: type) -> dict[str, Any]:
    """Return the types of a class's fields."""
    return typing.get_type_hints(kind, {**vars(sys.modules[kind.__module__]), **KNOWN})


def schema() -> dict[str, Any]:
    """Return the schema as it should be."""
    maker = _Maker()
    records = [maker.record(one) for one in RECORDS]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of bulk-upload's log",
        "description": f"Version {LOG_VERSION}. Fields and events may be added: ignore what you do not know.",
        "oneOf": records,
        "$defs": dict(sorted(maker.defs.items())),
    }


def text() -> str:
    """Return the file as it should be."""
    return json.dumps(schema(), indent=2) + "\n"


class _Maker:
    def __init__(self) -> None:
        self.defs: dict[str, Any] = {}

    def record(self, kind: type) -> dict[str, Any]:
        name = name_of(kind.__name__)
        head = {
            "v": {"const": LOG_VERSION},
            "at": {"type": "string", "format": "date-time"},
            "level": {"enum": [one.name.lower() for one in Level]},
            "event": {"const": name},
        }
        return self._defined(name, kind, head)

    def _defined(self, name: str, kind: type, head: dict[str, Any]) -> dict[str, Any]:
        if name not in self.defs:
            self.defs[name] = {}
            hints = hints_of(kind)
            properties = head | {field: self._of(hint) for field, hint in hints.items()}
            described = " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
            self.defs[name] = {
                "description": described,
                "type": "object",
                "required": list(properties),
                "properties": properties,
            }
        return {"$ref": f"#/$defs/{name}"}

    def _of(self, hint: Any) -> dict[str, Any]:
        plain = {str: "string", int: "integer", bool: "boolean", type(None): "null"}
        if hint in plain:
            return {"type": plain[hint]}
        if hint is float:
            return {"type": ["number", "null"]}
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self._of(one) for one in inner]}
        if origin is tuple:
            assert inner[1] is Ellipsis, hint
            return {"type": "array", "items": self._of(inner[0])}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self._of(inner[1])}
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [str(one.value) for one in hint]}
        assert issubclass(hint, msgspec.Struct), hint
        assert isinstance(hint, type)
        name = name_of(hint.__name__)
        head = {"kind": {"const": name}} if hint in typing.get_args(Outcome) else {}
        return self._defined(name, hint, head)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
