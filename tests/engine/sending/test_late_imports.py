"""Modules that are imported once the first requests are under way, or where one of them fails."""

from __future__ import annotations

import errno
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from bulk_upload.engine.sending import late_imports

if TYPE_CHECKING:
    import pytest

NAME = "module_of_a_test"


async def test_a_process_without_descriptors_waits_for_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that finds no descriptor is tried again: the entry whose retry needs it is no bug of the program."""
    tries = []

    def import_module(name: str) -> ModuleType:
        tries.append(name)
        if len(tries) < 3:
            raise OSError(errno.EMFILE, "too many open files")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    monkeypatch.setattr(late_imports, "import_module", import_module)
    monkeypatch.setattr(late_imports, "LATE_S", 0.0)
    await late_imports.imported(NAME)
    await late_imports.imported(NAME)
    assert tries == [NAME] * 3
