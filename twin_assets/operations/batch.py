"""Documents on their way from one read into every generation: what each step adds to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twin_assets.errors import DocumentRejected
from twin_assets.models.base import document_key, stable_hash
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.cleaned import CleanedModel
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RawModel
from twin_assets.models.recipe import CleanedRecipe, Recipe, VectorRecipe
from twin_assets.store.plan import Action, DocumentPlan, Wanted
from twin_assets.store.writer import GenerationWriter


@dataclass
class Item:
    """One document as it was read; `document` is None when MongoDB does not have it.

    Results are kept per recipe (by its short hash), since generations may differ in theirs. A rejection
    stands where a result would.
    """

    type: DataType
    entry: str
    document: Mapping[str, Any] | None
    force: bool = False
    raw: RawModel | None = None
    rejected: DocumentRejected | None = None
    cleaned: dict[str, CleanedModel | DocumentRejected] = field(default_factory=dict)
    chunks: dict[str, tuple[ChunkModel, ...] | DocumentRejected] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`type/entry`."""
        return document_key(self.type, self.entry)

    def rejection_for(self, recipe: Recipe) -> DocumentRejected | None:
        """Return why this document has no good version by a recipe."""
        results = [
            self.rejected,
            self.cleaned.get(cleaned_recipe(recipe).short),
            self.chunks.get(recipe.short),
        ]
        return next((result for result in results if isinstance(result, DocumentRejected)), None)

    def wanted(self, recipe: Recipe) -> Wanted:
        """Return what a generation of this recipe shall hold."""
        if self.document is None:
            return Wanted(self.type, self.entry, force=self.force)
        if self.rejection_for(recipe):
            return Wanted(self.type, self.entry, quarantine_hash=self._version(), force=self.force)
        cleaned = self.cleaned[cleaned_recipe(recipe).short]
        chunks = self.chunks[recipe.short] if isinstance(recipe, VectorRecipe) else ()
        if isinstance(cleaned, DocumentRejected) or isinstance(chunks, DocumentRejected):
            raise TypeError(self.key)
        return Wanted(self.type, self.entry, cleaned=cleaned, chunks=chunks, force=self.force)

    def _version(self) -> str:
        if self.raw is not None:
            return self.raw.source_hash
        return stable_hash(repr(self.document))


@dataclass
class GenerationShare:
    """One generation's part of a batch."""

    generation: Generation
    writer: GenerationWriter
    plans: list[DocumentPlan]


@dataclass
class Counts:
    """What was done, added up over batches."""

    documents: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    overtaken: int = 0
    chunks_written: int = 0
    chunks_embedded: int = 0
    chunks_reused: int = 0
    chunks_recalled: int = 0
    from_cleaned: int = 0

    @property
    def cache_hit_rate(self) -> float | None:
        """Of the chunks that were new everywhere, the share (0 to 1) that the cache knew; None of none."""
        new = self.chunks_recalled + self.chunks_embedded
        return self.chunks_recalled / new if new else None

    def add(self, other: Counts) -> None:
        """Add another batch's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def _nobody_listens() -> None:
    """Take the news that a slice is stored."""


@dataclass
class Batch:
    """Documents of one read, at one revision, and the generations that they go to.

    `donors` are generations that vectors may be taken from, beside those it goes to. `withdrawn` holds the
    keys of documents that an encoder refused; `on_stored` hears of every slice of chunks that is stored, in
    whichever thread does it.
    """

    revision: int
    items: list[Item]
    targets: dict[DataType, list[Generation]]
    donors: Sequence[Generation] = ()
    shares: list[GenerationShare] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    counts: Counts = field(default_factory=Counts)
    on_stored: Callable[[], None] = _nobody_listens

    @property
    def is_forced(self) -> bool:
        """Whether a document of it is written anew, whatever a generation holds."""
        return any(item.force for item in self.items)

    def recipes(self, data_type: DataType) -> Iterable[Recipe]:
        """Return the distinct recipes of a type's generations."""
        return {target.recipe.short: target.recipe for target in self.targets.get(data_type, [])}.values()

    def cleaned_recipes(self, data_type: DataType) -> Collection[CleanedRecipe]:
        """Return the distinct cleaned recipes of a type's generations."""
        found = (cleaned_recipe(recipe) for recipe in self.recipes(data_type))
        return {recipe.short: recipe for recipe in found}.values()

    def vector_recipes(self, data_type: DataType) -> list[VectorRecipe]:
        """Return the distinct vector recipes of a type's generations."""
        return [recipe for recipe in self.recipes(data_type) if isinstance(recipe, VectorRecipe)]

    def newly_rejected(self) -> list[tuple[Item, DocumentRejected]]:
        """Return the documents that some generation quarantines now for the first time in this version."""
        fresh = {
            plan.wanted.key: share.generation.recipe
            for share in self.shares
            for plan in share.plans
            if plan.action is Action.QUARANTINE
        }
        found = []
        for item in self.items:
            rejection = item.rejection_for(fresh[item.key]) if item.key in fresh else None
            if rejection is not None:
                found.append((item, rejection))
        return found


def cleaned_recipe(recipe: Recipe) -> CleanedRecipe:
    """Return the recipe of the cleaned text that a recipe starts from."""
    return recipe.cleaned if isinstance(recipe, VectorRecipe) else recipe
