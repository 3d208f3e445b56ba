"""The edge: MongoDB documents become raw models, or are rejected naming the field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS, RawModel
from twin_assets.processing.factory import complete_table
from twin_assets.processing.rejection import Unprocessable, field_name
from twin_assets.processing.text import drop_surrogates

MAX_DEPTH = 200
_MODELS = complete_table(RAW_MODELS)
_SCALARS = (bool, int, float, date, time, UUID, Decimal)


def validate(data_type: DataType, entry: str, document: Mapping[str, Any]) -> RawModel:
    """Make the raw model of a document; lone surrogates are dropped, unknown fields ignored.

    Raises pydantic's ValidationError, or Unprocessable where a field holds what cannot become text.
    """
    model = _MODELS[data_type]
    fields = {
        name: storable(document[name], name)
        for name in model.model_fields
        if name != "entry" and name in document
    }
    return model.model_validate({**fields, "entry": entry})


def storable(value: Any, *path: str) -> Any:
    """Return the value with text that UTF-8 can carry. Raises Unprocessable naming the field."""
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, str):
        return drop_surrogates(value)
    if len(path) > MAX_DEPTH:
        raise Unprocessable(f"{path[0]}: nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _storable_object(value, *path)
    if isinstance(value, list | tuple):
        return [storable(item, *path, str(index)) for index, item in enumerate(value)]
    raise Unprocessable(f"{field_name(*path)}: {type(value).__name__} cannot become text")


def _storable_object(value: Mapping[Any, Any], *path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = drop_surrogates(str(key))
        if name in result:
            raise Unprocessable(f"{field_name(*path, name)}: two keys are equal without lone surrogates")
        result[name] = storable(item, *path, name)
    return result
