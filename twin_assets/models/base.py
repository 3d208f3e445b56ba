"""What all models share: keys, hashes, and one strict, frozen base class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from twin_assets.models.kinds import DataType

ENTRY_MAX_LENGTH = 1024
Entry = Annotated[str, StringConstraints(pattern=r"^(oid|str|int|uuid):", max_length=ENTRY_MAX_LENGTH)]


class TwinModel(BaseModel):
    """An immutable value; unknown fields of a document are ignored, wrong ones are errors."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy without what was computed from the old fields: pydantic would carry stale hashes along."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy


def document_key(data_type: DataType, entry: str) -> str:
    """Return `type/entry`, the name of a document across all parts and in every log line."""
    return f"{data_type.value}/{entry}"


def plain_id(entry: str) -> str:
    """Return an entry's id without its kind, as readers know it."""
    return entry.partition(":")[2]


def stable_hash(value: Any) -> str:
    """Return the sha256 (hex) of a JSON value, independent of the order of keys in its objects."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def text_hash(text: str) -> str:
    """Return the sha256 (hex) of a text; lone surrogates are hashed as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
