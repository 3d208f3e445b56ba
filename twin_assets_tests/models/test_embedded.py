from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from twin_assets.models.embedded import EMBEDDED_MODELS, vector_hash
from twin_assets.models.kinds import DataType
from twin_assets_tests.models.builders import chunk


@pytest.mark.parametrize("data_type", DataType)
def test_chunk_and_vector_belong_to_one_type(data_type: DataType) -> None:
    model = EMBEDDED_MODELS[data_type](chunk=chunk(data_type), vector=(0.6, 0.8))
    assert model.vector_hash == vector_hash([0.6, 0.8])
    other = next(kind for kind in DataType if kind is not data_type)
    with pytest.raises(ValidationError, match="chunk"):
        EMBEDDED_MODELS[data_type](chunk=chunk(other), vector=(1.0,))


@pytest.mark.parametrize("vector", [(), (0.0, 0.0), (1.0, 1.0), (math.nan, 1.0), (math.inf,)])
def test_vector_that_is_no_unit_vector_is_refused(vector: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="vector"):
        EMBEDDED_MODELS[DataType.POSTS](chunk=chunk(DataType.POSTS), vector=vector)


def test_vector_hash_sees_a_swapped_sign_and_ignores_what_float32_cannot_hold() -> None:
    assert vector_hash([0.6, 0.8]) != vector_hash([0.8, 0.6])
    assert vector_hash([0.6, 0.8]) == vector_hash([0.6 + 1e-12, 0.8])
