from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.processing.text import clean_code, clean_text
from twin_assets_tests.processing.strategies import any_texts, patiently

ADVERSARIAL_LENGTH = 1_000_000


@patiently
@given(any_texts, st.booleans())
def test_cleaning_takes_any_text_and_is_idempotent(text: str, ascii_only: bool) -> None:
    once = clean_text(text, ascii_only=ascii_only)
    assert clean_text(once, ascii_only=ascii_only) == once
    assert "\0" not in once
    once.encode()


@patiently
@given(any_texts)
def test_cleaning_code_takes_any_text_and_is_idempotent(text: str) -> None:
    once = clean_code(text)
    assert clean_code(once) == once
    assert not {"\0", "\r"} & set(once)
    once.encode()


@pytest.mark.parametrize(
    "text",
    [
        "Übermäßig schöne Straße, façade, niño, Łódź",
        "データの流れを保つ。全角「引用」、句読点！",
        "Привет, мир — это «кавычки»",
        "می‌خواهم بروم",
        "क्‍ष और ज्ञ",
        "한국어 문장입니다.",
        "สวัสดีชาวโลก",
        "x² + y² ≤ π·r², 5 €, 20 °C, © 2024",
        "e\u0301 stays decomposed",
    ],
)
def test_every_language_survives(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("styled", "plain"),
    [
        ("𝐁𝐨𝐥𝐝 𝘪𝘵𝘢𝘭𝘪𝘤 𝓼𝓬𝓻𝓲𝓹𝓽 𝟭𝟮𝟯", "Bold italic script 123"),
        ("ℋℯ𝓁𝓁ℴ 𝔣𝔯𝔞𝔨𝔱𝔲𝔯 ℭ", "Hello fraktur C"),
        ("Ⓒⓘⓡⓒⓛⓔ 🅂🅀🅄 🅱🅾🆇 🅝🅞", "Circle SQU BOX NO"),
        ("ｗｉｄｅ１２", "wide12"),
        ("“curly” ‘single’ it’s „low“ \x93c1\x94", '"curly" \'single\' it\'s "low" "c1"'),
    ],
)
def test_styled_letters_and_quotes_become_plain(styled: str, plain: str) -> None:
    assert clean_text(styled) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Launch 🚀 day 👩‍👩‍👧‍👦!", "Launch day !"),
        ("fast🚀cheap", "fast cheap"),
        ("✅ Done\n🇩🇪 Germany 👍🏽", "Done\nGermany"),
        ("step 1️⃣ of 2", "step 1 of 2"),
        ("zero\u200bwidth\ufeff soft\xadhyphen", "zerowidth softhyphen"),
    ],
)
def test_emoji_and_invisible_characters_go(text: str, plain: str) -> None:
    assert clean_text(text) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("see https://example.org/a?b=c#d.", "see [URL]."),
        ("(http://example.org/a_(b)), then", "([URL]), then"),
        ("[docs](https://example.org/x) and <ftp://example.org>", "[docs]([URL]) and <[URL]>"),
        ("Www.Example.org/path!", "[URL]!"),
        ("见https://example.org/a，谢谢", "见[URL]，谢谢"),
        ("https://de.example.org/Köln ist schön", "[URL] ist schön"),
        ("www. and https:// alone", "www. and https:// alone"),
        ("awww.no", "awww.no"),
    ],
)
def test_addresses_become_a_placeholder(text: str, plain: str) -> None:
    assert clean_text(text) == plain


def test_white_space_is_normal_and_paragraphs_stay() -> None:
    text = "  one\t two \xa0three\r\nline\u2028next \r\n \n\n\n  second\u3000paragraph  \n"
    assert clean_text(text) == "one two three\nline\nnext\n\nsecond paragraph"


def test_ascii_only_is_the_lossy_behaviour_of_the_seed() -> None:
    assert clean_text("Ünïcode 漢字 “quoted”\n\n𝐛𝐨𝐥𝐝 café", ascii_only=True) == 'ncode "quoted"\n\nbold caf'


def test_code_is_left_as_it_is_apart_from_newlines_and_nuls() -> None:
    code = "\ufeffdef f():\r\n\treturn “x”  # 🚀 https://example.org\r\n\n\n\n\0\ud800"
    assert clean_code(code) == "\ufeffdef f():\n\treturn “x”  # 🚀 https://example.org\n\n\n\n"


@pytest.mark.parametrize(
    "unit",
    [
        "a", " ", "\n", " \n", "🚀", "a🚀", "𝐁a", "\u200d", "ع\u200d", "\ud800", "“ ", "漢",
        "www.", "http", "https://", "(", ")",
    ],
)  # fmt: skip
def test_cleaning_is_linear_in_adversarial_text(unit: str) -> None:
    text = "https://" + unit * (ADVERSARIAL_LENGTH // len(unit))
    started = time.process_time()
    clean_text(text)
    assert time.process_time() - started < 4
