"""Cleaned text for vectors, taken from the cleaned snapshot wherever that is provably the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twin_assets.models.chunk import head_point_id
from twin_assets.models.cleaned import CLEANED_MODELS, CleanedModel
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.batch import Item
from twin_assets.operations.twin import Twin


class CleanedSnapshot:
    """Offers the text of the live cleaned generation to a vector generation that is being built."""

    def __init__(self, twin: Twin, target: Generation) -> None:
        self._twin = twin
        self._recipe = target.recipe
        self._live = twin.live_generation(Snapshot.CLEANED, target.type)

    def __call__(self, items: Sequence[Item]) -> Mapping[str, CleanedModel]:
        """Return the cleaned documents, by key, whose source version and recipe are those wanted."""
        if self._live is None or not isinstance(self._recipe, VectorRecipe):
            return {}
        if self._live.recipe.short != self._recipe.cleaned.short:
            return {}
        wanted = {item.key: item.raw.source_hash for item in items if item.raw is not None}
        model = CLEANED_MODELS[self._live.type]
        head_ids = [head_point_id(key) for key in wanted]
        found = {}
        for payload in self._twin.store.payloads(self._live.collection, head_ids):
            if payload.get("deleted") or "cleaned_content" not in payload:
                continue
            cleaned = model.model_validate(payload)
            is_intact = cleaned.content_hash == payload.get("content_hash")
            if is_intact and cleaned.source_hash == wanted[cleaned.key]:
                found[cleaned.key] = cleaned
        return found
