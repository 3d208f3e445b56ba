from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.errors import DocumentRejected
from twin_assets.models.kinds import DataType
from twin_assets.processing.dispatch import ChunkingDispatcher
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.processing.builders import PROSE, chunks_of, cleaned, vector_recipe
from twin_assets_tests.processing.strategies import long_texts, patiently

FILE = "import os\n\n\n" + "\n\n".join(f"def function_{n}():\n    return {n}\n" for n in range(60))


@patiently
@given(
    st.sampled_from(DataType), st.dictionaries(st.sampled_from(["a.py", "b.md", "c"]), long_texts, min_size=1)
)
def test_chunks_are_numbered_exact_slices_that_cover_the_text(
    data_type: DataType, content: dict[str, str]
) -> None:
    try:
        document = cleaned(data_type, content)
    except DocumentRejected:
        return
    recipe = vector_recipe(chunk_size=100, chunk_overlap=10)
    chunks = ChunkingDispatcher(recipe, HashEncoder(16), 10_000).dispatch(document)
    covered: set[int] = set()
    for index, chunk in enumerate(chunks):
        assert chunk.content == document.cleaned_content[chunk.start : chunk.end]
        assert (chunk.chunk_index, chunk.chunk_count, chunk.recipe) == (index, len(chunks), recipe.short)
        covered.update(range(chunk.start, chunk.end))
    text = document.cleaned_content
    assert all(index in covered for index, character in enumerate(text) if not character.isspace())
    assert len({chunk.point_id for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize("data_type", PROSE)
def test_equal_texts_are_told_apart_by_their_occurrence(data_type: DataType) -> None:
    paragraph = "the very same words " * 20
    chunks = chunks_of(data_type, {"a": [paragraph] * 3}, chunk_size=420, chunk_overlap=0)
    assert [chunk.occurrence for chunk in chunks] == [0, 1, 2]
    assert len({chunk.point_id for chunk in chunks}) == len(chunks)


def test_chunk_never_spans_two_files() -> None:
    content = {"a.py": "x = 1", "docs/b.md": "# title", "Makefile": "all:\n\techo"}
    chunks = chunks_of(DataType.REPOSITORIES, content)
    fields = [
        {name: chunk.payload()[name] for name in ("path", "language", "start_line", "content")}
        for chunk in chunks
    ]
    assert fields == [
        {"path": "a.py", "language": "python", "start_line": 1, "content": "x = 1"},
        {"path": "docs/b.md", "language": "markdown", "start_line": 1, "content": "# title"},
        {"path": "Makefile", "language": None, "start_line": 1, "content": "all:\n\techo"},
    ]


def test_start_line_is_the_line_in_the_file() -> None:
    chunks = chunks_of(DataType.REPOSITORIES, {"pad.txt": "\n\n\npad", "a.py": FILE}, chunk_size=300)
    lines = FILE.split("\n")
    assert chunks[0].payload()["start_line"] == 4
    assert len(chunks) > 6
    for chunk in chunks[1:]:
        first = chunk.content.split("\n")[0]
        assert first in lines[chunk.payload()["start_line"] - 1]


def test_too_many_chunks_are_a_rejection_that_says_what_to_do() -> None:
    with pytest.raises(
        DocumentRejected, match="more than 3 chunks; split the document or raise TWIN_MAX_CHUNKS"
    ):
        chunks_of(DataType.ARTICLES, {"a": "word " * 1000}, max_chunks=3)


def test_document_that_must_exceed_the_limit_is_refused_before_it_is_cut() -> None:
    class NoTokens(HashEncoder):
        def token_counts(self, texts: Sequence[str]) -> list[int]:
            raise AssertionError("the text was cut")

    document = cleaned(DataType.POSTS, {"a": "wörter " * 10_000})
    with pytest.raises(DocumentRejected, match="more than 100 chunks"):
        ChunkingDispatcher(vector_recipe(), NoTokens(16), 100).dispatch(document)


def test_white_space_counts_for_no_chunk() -> None:
    chunks = chunks_of(DataType.REPOSITORIES, {"a.py": "x = 1" + "\n" * 5000 + "y = 2"}, max_chunks=2)
    assert [chunk.content for chunk in chunks] == ["x = 1", "y = 2"]


def test_edit_of_one_file_leaves_the_ids_of_the_others_alone() -> None:
    before = chunks_of(DataType.REPOSITORIES, {"a.py": FILE, "b.py": "y = 1"})
    after = chunks_of(DataType.REPOSITORIES, {"a.py": "x = 2\n" * 5, "b.py": "y = 1"})
    assert before[-1].point_id == after[-1].point_id
    assert before[-1].start != after[-1].start
