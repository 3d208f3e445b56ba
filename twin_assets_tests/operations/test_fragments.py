"""A text is recognised by its pieces, wherever it was cut and however it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.operations import fragments as fragments_module
from twin_assets.operations.fragments import LONGEST, MOST, SHORTEST, Fragments, texts_in

TEXT = "It was the winter, and nobody else remembers how the heliotrope froze by the window."


def test_a_copy_is_recognised_with_other_punctuation_and_line_breaks_around_it():
    found = Fragments([TEXT])
    assert found
    assert found.in_texts(["nothing", f"he said: «{TEXT}»"])
    assert found.in_texts(["…and nobody else remembers how the heliotrope froze by the…"])
    assert not found.in_texts(["It was the summer, and everybody remembers."])


def test_a_short_text_has_no_piece_of_its_own():
    assert not Fragments(["too short", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", ""])
    assert not Fragments([]).in_texts(["anything"])
    assert not Fragments([]).are_in_bytes(b"anything")


def test_it_never_shows_its_text():
    assert "heliotrope" not in f"{Fragments([TEXT])!r} {Fragments([TEXT])}"


@pytest.mark.parametrize(
    "text", ["привет из зимы которую никто не помнит", "冬のことを誰も覚えていない日記" * 4]
)
def test_other_scripts_are_found_as_utf_8_and_as_json_escapes_them(text: str):
    found = Fragments([text])
    assert found.are_in_bytes(f"> {text}".encode())
    assert found.are_in_bytes(json.dumps({"said": text}).encode("ascii"))


def test_a_piece_across_two_blocks_of_a_file_is_found(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fragments_module, "BLOCK_BYTES", 64)
    file = tmp_path / "some.log"
    for before in range(64, 128):
        file.write_text("x" * before + " " + TEXT + "y" * 200)
        assert Fragments([TEXT]).are_in_file(file)
    file.write_text("x" * 1000)
    assert not Fragments([TEXT]).are_in_file(file)


def test_a_long_text_is_covered_from_beginning_to_end():
    sentences = [f"sentence number {number} of a long story." for number in range(5_000)]
    found = Fragments(["\n".join(sentences)])
    assert len(found.in_texts(sentences)) == MOST
    assert found.in_texts(sentences[:50])
    assert found.in_texts(sentences[-50:])


@given(st.text(alphabet="abcdefghijkl mnop,.\n", max_size=400))
def test_every_piece_is_a_part_of_the_text_and_of_sane_length(text: str):
    for piece in Fragments([text]).in_texts([text]):
        assert piece in text
        assert SHORTEST <= len(piece) <= LONGEST


def test_texts_are_found_at_every_depth_and_names_of_fields_are_none():
    assert list(texts_in({"a": "1", "b": [{"c": "2"}, 3, None], "d": ("4",)})) == ["1", "2", "4"]
