"""The fields of a data set's row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from textmdp.envs.data.dataset_rows import DataError, Row, kind_of, names_of


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a row, with errors that name it."""

    place: str
    row: Row

    def error(self, name: str, problem: object) -> DataError:
        """What to raise about a field."""
        return DataError(f"{self.place}, field {name!r}: {problem}")

    def text(self, name: str, *, needed: bool = True) -> str:
        """A text, its lines ended as in Python; "" where it is missing or null and not needed.

        Raises:
            DataError: it is missing or empty and needed, or no text.
        """
        value = self.row.get(name)
        if value is None and not needed:
            return ""
        if name not in self.row:
            raise DataError(f"{self.place}: the field {name!r} is missing; the row has {names_of(self.row)}")
        if not isinstance(value, str):
            raise self.error(name, f"text is expected, not {kind_of(value)}")
        if needed and not value.strip():
            raise self.error(name, "the text is empty")
        return value.replace("\r\n", "\n").replace("\r", "\n")

    def texts(self, name: str, *, needed: bool = True) -> list[str]:
        """A list of texts; empty where it is missing or null and not needed.

        Raises:
            DataError: it is missing or empty and needed, or no list of texts.
        """
        value = self.row.get(name)
        if value is None and not needed:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            wrong = value if not isinstance(value, list) else next(i for i in value if not isinstance(i, str))
            raise self.error(name, f"a list of texts is expected, not {kind_of(wrong)}")
        if needed and not value:
            raise self.error(name, "the list is empty")
        return [text.replace("\r\n", "\n").replace("\r", "\n").strip() for text in value]

    def json(self, name: str) -> Any:
        """A value that is written as JSON, or stands there as it is; None where it is missing or empty.

        Raises:
            DataError: the text is no JSON.
        """
        value = self.row.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value.strip() else None
        except (ValueError, RecursionError) as error:
            raise self.error(name, f"not JSON ({error})") from error
