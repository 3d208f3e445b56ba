"""What MongoDB has of a document now, and so what every point of it has to say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from twin_assets.errors import DocumentRejected
from twin_assets.models.base import stable_hash
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.generation import Generation
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import PROCESSING_VERSION
from twin_assets.operations.batch import cleaned_recipe
from twin_assets.operations.twin import Twin
from twin_assets.processing.dispatch import CleaningDispatcher, RawDispatcher
from twin_assets.source.entries import is_reversible

DOCUMENTS_AT_ONCE = 1000
# One document may have 16 MB, so that texts are held by their length and not by their number.
CHARACTERS_AT_ONCE = 4_000_000
# Of a refused document an older version may stand in Qdrant, of a length that nobody knows.
REFUSED_CHARACTERS = 500_000
NO_ORIGIN = frozenset({"entry", "content"})

T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """A document as MongoDB has it: `name` is its source hash, None where there is no document.

    `origin` holds the fields that every point of it repeats, `cleaned` its text where that was asked for and
    can be worked out anew.
    """

    name: str | None = None
    is_rejected: bool = False
    origin: Mapping[str, Any] | None = None
    cleaned: CleanedModel | None = None

    @property
    def characters(self) -> int:
        """How much of the memory for one page this takes."""
        if self.is_rejected or (self.cleaned is None and self.name is not None):
            return REFUSED_CHARACTERS
        return len(self.cleaned.cleaned_content) if self.cleaned else 0


class Versions:
    """Reads documents for one generation, by majority; cleans them too if their texts are asked for."""

    def __init__(self, twin: Twin, generation: Generation, *, with_texts: bool) -> None:
        self._twin = twin
        self._type = generation.type
        self._with_texts = with_texts
        recipe = cleaned_recipe(generation.recipe)
        # Only this version of the code knows what text its own recipes make.
        is_known = with_texts and recipe.processing_version == PROCESSING_VERSION
        self._cleaning = CleaningDispatcher(recipe) if is_known else None

    def read(self, entries: Collection[str]) -> Iterator[dict[str, Version]]:
        """Yield what there is of each entry, as many at once as fit into memory."""
        for page in pages(entries, DOCUMENTS_AT_ONCE):
            remaining = dict.fromkeys(page, Version())
            held: dict[str, Version] = {}
            characters = 0
            known = [entry for entry in page if is_reversible(entry)]
            for entry, document in self._twin.source.each(self._type, known):
                held[entry] = version = self._version(entry, document)
                remaining.pop(entry, None)
                characters += version.characters if self._with_texts else 0
                if characters > CHARACTERS_AT_ONCE:
                    yield held
                    held, characters = {}, 0
            yield held | remaining

    def _version(self, entry: str, document: Mapping[str, Any]) -> Version:
        try:
            raw = RawDispatcher.dispatch(self._type, entry, document)
        except DocumentRejected:
            return Version(stable_hash(repr(document)), is_rejected=True)
        origin = {name: value for name, value in raw if name not in NO_ORIGIN}
        return Version(raw.source_hash, origin=origin, cleaned=self._clean(raw))

    def _clean(self, raw: RawModel) -> CleanedModel | None:
        if self._cleaning is None:
            return None
        try:
            return self._cleaning.dispatch(raw)
        except DocumentRejected:
            return None


def pages(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield values in lists of at most `size`."""
    remaining = iter(values)
    while page := list(islice(remaining, size)):
        yield page
