"""Settings to recipes: what decides the points of each collection."""

from __future__ import annotations

from pathlib import Path

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import CleanedRecipe, Precision, Recipe, VectorRecipe
from twin_assets.processing.encoder import describe_model
from twin_assets.processing.model_files import ModelDescription
from twin_assets.settings import Settings

FULL_CODE_MODEL = "hkunlp/instructor-xl"
CODE_TYPES = frozenset({DataType.REPOSITORIES})


def cleaned_recipe(settings: Settings) -> CleanedRecipe:
    """Return the recipe of every `cleaned_*` collection."""
    return CleanedRecipe(ascii_only=settings.cleaning_ascii_only)


def vector_recipe(settings: Settings, data_type: DataType) -> VectorRecipe:
    """Return the recipe of a `vector_*` collection. Raises ModelUnavailable where its model is not at hand.

    An instruction is part of it only where the model takes one; an empty instruction switches it off.
    """
    is_code = data_type in CODE_TYPES
    model = _model_name(_code_model(settings) if is_code else settings.text_model)
    description = describe_model(model)
    instruction = (settings.code_instruction if is_code else settings.text_instruction).strip()
    return VectorRecipe(
        cleaned=cleaned_recipe(settings),
        chunk_size=settings.code_chunk_size if is_code else settings.text_chunk_size,
        chunk_overlap=settings.code_chunk_overlap if is_code else settings.text_chunk_overlap,
        max_tokens=description.max_tokens,
        model=model,
        dimension=description.dimension,
        instruction=instruction or None if description.takes_instruction else None,
        pooling=description.pooling,
        precision=_precision(settings, description, is_code=is_code),
    )


def recipe_of(settings: Settings, snapshot: Snapshot, data_type: DataType) -> Recipe:
    """Return the recipe of a collection."""
    return cleaned_recipe(settings) if snapshot is Snapshot.CLEANED else vector_recipe(settings, data_type)


def _code_model(settings: Settings) -> str:
    if settings.code_model:
        return settings.code_model
    return FULL_CODE_MODEL if settings.profile == "full" else settings.text_model


def _precision(settings: Settings, description: ModelDescription, *, is_code: bool) -> Precision:
    if description.pooling == "hash":  # there are no weights to round
        return "float32"
    return settings.code_precision if is_code else settings.text_precision


def _model_name(name: str) -> str:
    """Return a folder's absolute path, since runs start in other folders; a hub's name as it is."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name
