"""Values as small integers, so that a state is a tuple of them."""

from __future__ import annotations

from typing import Any


class Interned:
    """Gives equal values, told by their `repr`, one number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """Return the number of a value, which must not be changed from now on."""
        key = repr(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]
