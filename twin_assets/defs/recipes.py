"""What the UI says about a collection's recipe: its code version, a table and, where it must, a warning."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import MetadataValue, TableMetadataValue, TableRecord

from twin_assets.errors import ModelUnavailable
from twin_assets.models.base import stable_hash
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import Recipe
from twin_assets.settings import Settings

CODE_VERSION_LENGTH = 12


@dataclass(frozen=True)
class RecipeNote:
    """A recipe as the asset shows it; `warning` says why it could not be described."""

    code_version: str
    recipe: Recipe | None = None
    warning: str = ""


def describe_recipe(settings: Settings, snapshot: Snapshot, data_type: DataType) -> RecipeNote:
    """Describe the recipe that is set now; a missing model is a warning, so that the rest stays visible."""
    from twin_assets.processing.recipes import recipe_of

    try:
        recipe = recipe_of(settings, snapshot, data_type)
    except ModelUnavailable as error:
        models = [settings.text_model, settings.code_model, settings.profile]
        version = stable_hash([snapshot.value, data_type.value, models])[:CODE_VERSION_LENGTH]
        return RecipeNote(version, warning=str(error))
    return RecipeNote(recipe.short, recipe)


def recipe_table(recipe: Recipe) -> TableMetadataValue:
    """Return everything that decides what a point is, one row each."""
    fields = recipe.model_dump(mode="json", exclude={"snapshot", "cleaned"})
    if recipe.snapshot == "vector":
        fields["cleaned"] = recipe.cleaned.short
    rows = [TableRecord({"ingredient": name, "value": str(value)}) for name, value in fields.items()]
    return MetadataValue.table(rows)
