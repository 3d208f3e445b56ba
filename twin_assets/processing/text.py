"""Pure text functions of cleaning: linear in the text, idempotent, kind to every language."""

from __future__ import annotations

import re
import unicodedata

URL_PLACEHOLDER = "[URL]"

_SURROGATES = re.compile("[\ud800-\udfff]")
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028]")
_SPACES = re.compile("[\t\x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Controls, soft hyphens, bidi and zero-width marks, variation selectors, tags, noncharacters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x90\x95-\x9f\xad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e0fff]"
)
# Arabic, Persian and the Indic scripts spell with joiners; elsewhere they only glue emoji together.
_STRAY_JOINERS = re.compile("(?<![\u0600-\u1cff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1cff])")
_EMOJI = re.compile(
    "[\u20e3\u2139\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u2600-\u266e\u2670-\u2767\u2794-\u27bf\u2b05-\u2b07"
    "\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001f0ff\U0001f14a-\U0001f14f\U0001f16a-\U0001f16f"
    "\U0001f18a-\U0001f2ff\U0001f300-\U0001faff]+"
)
_URL_CHARACTERS = "[!#-;=?-Z_a-z~\u00c0-\u1fff\u200c\u200d]"
_URLS = re.compile(rf"(?:https?|ftp)://{_URL_CHARACTERS}+|\bwww\.{_URL_CHARACTERS}+", re.IGNORECASE)
_URL_PREFIX = re.compile(r"(?:\w+://|www\.)", re.IGNORECASE)
_SPACE_RUNS = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile(" ?\n ?")
_BLANK_LINES = re.compile("\n{3,}")

_STYLED_RANGES = (
    (0x1D400, 0x1D7FF),  # mathematical bold, italic, script, fraktur …
    (0x249C, 0x24E9),  # parenthesized and circled letters
    (0xFF10, 0xFF19),  # full-width digits and letters; full-width punctuation belongs to CJK text
    (0xFF21, 0xFF3A),
    (0xFF41, 0xFF5A),
    (0x1F110, 0x1F12A),
    (0x1F130, 0x1F149),
)
_STYLED_LETTERLIKE = "ℂℊℋℌℍℎℐℑℒℓℕℙℚℛℜℝℤℨℬℭℯℰℱℳℴⅅⅆⅇⅈⅉ"
_NEGATIVE_LETTERS = (0x1F150, 0x1F170)  # circled and squared; NFKC does not know them
_QUOTES = str.maketrans(
    dict.fromkeys("‘’‚‛\x91\x92", "'") | dict.fromkeys("“”„‟\x93\x94", '"'),
)
_QUOTE_RUNS = re.compile("[‘-‟\x91-\x94]+")


def _plain_letters() -> dict[int, str]:
    points = [point for first, last in _STYLED_RANGES for point in range(first, last + 1)]
    points += map(ord, _STYLED_LETTERLIKE)
    plain = {point: unicodedata.normalize("NFKC", chr(point)) for point in points}
    for first in _NEGATIVE_LETTERS:
        plain |= {first + index: chr(ord("A") + index) for index in range(26)}
    return {point: letters for point, letters in plain.items() if chr(point) != letters}


_PLAIN_LETTERS = _plain_letters()
# Ranges, not the letters one by one: that is sixty times faster on text beyond ASCII.
_STYLED_RUNS = re.compile(
    f"[{_STYLED_LETTERLIKE}\U0001f150-\U0001f169\U0001f170-\U0001f189"
    + "".join(f"{chr(first)}-{chr(last)}" for first, last in _STYLED_RANGES)
    + "]+"
)


def clean_text(text: str, *, ascii_only: bool = False) -> str:
    """Clean prose: plain letters, straight quotes, no emoji, `[URL]`, paragraphs kept.

    `ascii_only` drops every other character: accents and all languages that are not written in ASCII.
    """
    text = fold_characters(text)
    if ascii_only:
        text = drop_non_ascii(text)
    return tidy_whitespace(replace_urls(text))


def clean_code(text: str) -> str:
    """Leave code as it is, apart from newlines (LF) and what Qdrant cannot hold: NULs and lone surrogates."""
    return drop_surrogates(text).replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def drop_surrogates(text: str) -> str:
    """Drop surrogates, which no UTF-8 can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("", text)
    return text


def fold_characters(text: str) -> str:
    """Make styled letters, curly quotes and odd white space plain; drop emoji and what is invisible."""
    text = _NEWLINES.sub("\n", drop_surrogates(text).replace("\u2029", "\n\n"))
    text = _INVISIBLE.sub("", _SPACES.sub(" ", text))
    if text.isascii():
        return text
    text = _STRAY_JOINERS.sub("", text)
    text = _STYLED_RUNS.sub(lambda run: run[0].translate(_PLAIN_LETTERS), text)
    text = _QUOTE_RUNS.sub(lambda run: run[0].translate(_QUOTES), text)
    return _EMOJI.sub(_gap, text)


def replace_urls(text: str) -> str:
    """Replace web addresses by `[URL]`; the punctuation after them stays."""
    return _URLS.sub(_placeholder, text)


def tidy_whitespace(text: str) -> str:
    """Make runs of spaces one, strip lines, and keep at most one blank line between paragraphs."""
    text = _LINE_ENDS.sub("\n", _SPACE_RUNS.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def drop_non_ascii(text: str) -> str:
    """Drop every character beyond ASCII, as the seed course did."""
    from unstructured.cleaners.core import clean_non_ascii_chars  # noqa: PLC0415 - a second to import

    return str(clean_non_ascii_chars(text))


def _gap(emoji: re.Match[str]) -> str:
    before, after = (
        emoji.string[emoji.start() - 1 : emoji.start()],
        emoji.string[emoji.end() : emoji.end() + 1],
    )
    return " " if before.isalnum() and after.isalnum() else ""


def _placeholder(match: re.Match[str]) -> str:
    url = match[0]
    end, unopened = len(url), url.count(")") - url.count("(")
    while end and (url[end - 1] in ".,;:!?'*_~" or (url[end - 1] == ")" and unopened > 0)):
        end -= 1
        unopened -= url[end] == ")"
    return url if _URL_PREFIX.fullmatch(url[:end]) or not end else URL_PLACEHOLDER + url[end:]
