"""What conversion makes of records that differ in their texts only is decided once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import NOT_JSON
from bulk_upload.core.shapes.stencils.forms import Forms, NoForm
from bulk_upload.core.shapes.stencils.stencil import stencil_of

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.stencils.forms import Form
    from bulk_upload.core.shapes.stencils.stencil import Stencil
    from bulk_upload.core.shapes.target import Target

_FORMS_MAX = 256
"""Files have few forms. Records of those beyond are converted one by one."""

_BYTES_MAX = 64 * 1024
_VALUES_MAX = 256
"""Longer records, and those of more values, have no stencil: each stencil keeps the values it had last."""


class Stencils:
    """The stencils of one file. A record that has none is to be converted by itself."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._forms = Forms(target)
        self._stencils: dict[Form, Stencil | None] = {}

    def line(self, text: Json) -> tuple[Json, Stencil] | None:
        """Return the line that a record becomes, None where there is no stencil for it.

        Texts are not looked at: whether the line is UTF-8 and none of them is blank is for the caller to check.
        """
        if len(text) > _BYTES_MAX:
            return None
        try:
            form, values = self._forms.read(text)
        except (*NOT_JSON, NoForm):
            return None
        stencil = self._stencils[form] if form in self._stencils else self._new(form, len(values))
        line = None if stencil is None else stencil.line(text, values)
        return None if line is None or stencil is None else (line, stencil)

    def _new(self, form: Form, value_count: int) -> Stencil | None:
        if len(self._stencils) >= _FORMS_MAX or value_count > _VALUES_MAX:
            return None
        made = self._stencils[form] = stencil_of(form, self._target)
        return made
