"""What conversion makes of records that differ in their texts only is decided once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import NOT_JSON
from bulk_upload.core.shapes.templates.forms import Forms, NoForm
from bulk_upload.core.shapes.templates.template import template_of

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.target import Target
    from bulk_upload.core.shapes.templates.forms import Form
    from bulk_upload.core.shapes.templates.template import Template

_FORMS_MAX = 256
"""Files have few forms. Records of those beyond are converted one by one."""

_BYTES_MAX = 64 * 1024
_VALUES_MAX = 256
"""Longer records, and those of more values, have no template: each template keeps the values it had last."""


class Templates:
    """The templates of one file. A record that has none is to be converted by itself."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._forms = Forms(target)
        self._templates: dict[Form, Template | None] = {}

    def line(self, text: Json) -> tuple[Json, Template] | None:
        """Return the line that a record becomes, None where there is no template for it.

        Texts are not looked at: whether the line is UTF-8 and none of them is blank is for the caller to check.
        """
        if len(text) > _BYTES_MAX:
            return None
        try:
            form, values = self._forms.read(text)
        except (*NOT_JSON, NoForm):
            return None
        template = self._templates[form] if form in self._templates else self._new(form, len(values))
        line = None if template is None else template.line(text, values)
        return None if line is None or template is None else (line, template)

    def _new(self, form: Form, value_count: int) -> Template | None:
        if len(self._templates) >= _FORMS_MAX or value_count > _VALUES_MAX:
            return None
        made = self._templates[form] = template_of(form, self._target)
        return made
