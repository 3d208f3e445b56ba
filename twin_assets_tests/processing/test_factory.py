from __future__ import annotations

import pytest

from twin_assets.models.kinds import DataType
from twin_assets.processing.chunking import ChunkingHandlerFactory
from twin_assets.processing.cleaning import CleaningHandlerFactory
from twin_assets.processing.embedding import EmbeddingHandlerFactory
from twin_assets.processing.factory import complete_table
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets.processing.splitter import Splitter
from twin_assets_tests.processing.builders import vector_recipe


def test_table_with_a_missing_handler_fails() -> None:
    with pytest.raises(NotImplementedError, match="no handler for articles, repositories"):
        complete_table({DataType.POSTS: object()})


@pytest.mark.parametrize("data_type", DataType)
def test_every_factory_makes_a_handler_of_the_type(data_type: DataType) -> None:
    recipe = vector_recipe()
    splitter = Splitter(HashEncoder(8), chunk_size=500, chunk_overlap=50)
    handlers = (
        CleaningHandlerFactory.create_handler(data_type, recipe.cleaned),
        ChunkingHandlerFactory.create_handler(data_type, recipe, splitter),
        EmbeddingHandlerFactory.create_handler(data_type),
    )
    assert {handler.model.data_type for handler in handlers} == {data_type}
