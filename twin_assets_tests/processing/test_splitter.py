from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets.processing.languages import LANGUAGES, language_of
from twin_assets.processing.splitter import Splitter, langchain_splitter
from twin_assets_tests.processing.strategies import long_texts, patiently

LANGUAGE_NAMES = [None, *sorted(set(LANGUAGES.values()))]


def splitter(*, size: int = 500, overlap: int = 50, max_tokens: int = 256) -> Splitter:
    tokens = HashEncoder(8)
    tokens.max_tokens = max_tokens
    return Splitter(tokens, chunk_size=size, chunk_overlap=overlap)


def assert_sound(text: str, spans: list[tuple[int, int]], cut: Splitter) -> None:
    covered: set[int] = set()
    for start, end in spans:
        assert start < end <= start + cut.chunk_size
        assert text[end - 1] == text[start:end].rstrip()[-1]
        covered.update(range(start, end))
    counts = cut.tokens.token_counts([text[start:end] for start, end in spans])
    assert max(counts, default=0) + cut.tokens.special_tokens <= cut.tokens.max_tokens
    assert all(index in covered for index, character in enumerate(text) if not character.isspace())
    ends = [end for _, end in spans]
    assert ends == sorted(set(ends))


@patiently
@given(
    long_texts,
    st.integers(50, 300),
    st.integers(0, 49),
    st.integers(3, 90),
    st.sampled_from(LANGUAGE_NAMES),
    st.booleans(),
)
def test_slices_cover_any_text_within_both_limits(
    text: str, size: int, overlap: int, max_tokens: int, language: str | None, is_code: bool
) -> None:
    cut = splitter(size=size, overlap=overlap, max_tokens=max_tokens)
    assert_sound(text, list(cut.split(text, language=language, is_code=is_code)), cut)


@pytest.mark.parametrize("language", LANGUAGE_NAMES)
def test_langchain_knows_every_language_and_loses_no_character(language: str | None) -> None:
    text = "class A:\n\n  def b(self): pass\n\n# title\n<p>x</p>\nfunction f() { return 1; }\n" * 20
    pieces = langchain_splitter(100, language).split_text(text)
    assert "".join(pieces) == text
    assert len(pieces) > 5


def test_text_that_fits_is_one_slice() -> None:
    text = "a first paragraph\n\n" + "word " * 90
    assert list(splitter().split(text)) == [(0, len(text.rstrip()))]


def test_slices_end_at_paragraphs_and_share_whole_words() -> None:
    paragraphs = ["alpha " * 60, "beta " * 60, "gamma " * 60]
    text = "\n\n".join(paragraphs)
    slices = [text[start:end] for start, end in splitter().split(text)]
    assert slices[0] == paragraphs[0].strip()
    assert slices[1].startswith("alpha alpha")
    assert slices[1].endswith("beta")


def test_code_keeps_the_indentation_of_its_first_line() -> None:
    text = "\n\n    indented = 1\n"
    assert [text[start:end] for start, end in splitter().split(text, is_code=True)] == ["    indented = 1"]
    assert [text[start:end] for start, end in splitter().split(text)] == ["indented = 1"]


def test_long_words_are_cut_at_the_chunk_size() -> None:
    text = "x" * 2000
    cut = splitter(max_tokens=10_000)
    spans = list(cut.split(text))
    assert_sound(text, spans, cut)
    assert [start for start, _ in spans[1:]] == [end - 50 for _, end in spans[:-1]]


def test_token_windows_are_even_and_overlap() -> None:
    cut = splitter(size=1000, overlap=100, max_tokens=102)
    text = "one two " * 100
    spans = list(cut.split(text))
    counts = cut.tokens.token_counts([text[start:end] for start, end in spans])
    assert max(counts) - min(counts) < 20
    assert all(after[0] < before[1] for before, after in pairwise(spans))


def test_only_texts_that_may_exceed_the_cap_are_tokenized() -> None:
    class CountingTokens(HashEncoder):
        counted = 0

        def token_counts(self, texts: list[str]) -> list[int]:  # type: ignore[override]
            self.counted += len(texts)
            return super().token_counts(texts)

    tokens = CountingTokens(8)
    cut = Splitter(tokens, chunk_size=200, chunk_overlap=0)
    list(cut.split("plain words " * 500))
    assert tokens.counted == 0
    list(cut.split("wörter " * 500))
    assert tokens.counted > 10


def pathological(length: int = 1_000_000) -> dict[str, str]:
    dice = random.Random(1)
    return {
        "one_letter": "a" * length,
        "minified": "".join(dice.choices("abcdef{}[]();=+-/*0123", k=length)),
        "newlines": "\n" * (length // 5),
        "short_lines": "x\n" * (length // 5),
        "cjk": "漢字" * (length // 10),
    }


@pytest.mark.parametrize("kind", ["one_letter", "minified", "newlines", "short_lines", "cjk"])
@pytest.mark.parametrize("language", [None, "python"])
def test_pathological_file_is_cut_in_seconds(kind: str, language: str | None) -> None:
    text = pathological(300_000)[kind]
    cut = splitter(size=1000, overlap=100)
    started = time.process_time()
    spans = list(cut.split(text, language=language, is_code=True))
    assert time.process_time() - started < 4
    assert_sound(text, spans, cut)


def test_model_that_reads_no_token_beside_its_instruction_is_refused() -> None:
    with pytest.raises(ValueError, match="instruction"):
        splitter(max_tokens=2)


@pytest.mark.parametrize(
    ("path", "language"),
    [("a/b.py", "python"), ("A.TSX", "ts"), ("x.h", "c"), ("Makefile", None), (".py", None), ("x.pl", None)],
)  # fmt: skip
def test_language_goes_by_the_extension(path: str, language: str | None) -> None:
    assert language_of(path) == language
