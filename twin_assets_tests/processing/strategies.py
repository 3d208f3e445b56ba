"""Texts that break text functions: parts of addresses, joiners, emoji, surrogates, all white space."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

PARTS = (
    "http", "https://", "HTTPS://", "www.", ".", "(", ")", "[URL]", "/", ":", "'", "*", "_", "a", "B", "1",
    "&apos;", "\u200b", "\u200c", "\u200d", "\u061c", "\ufeff", "\xad", "ع", "क", "🚀", "🇩🇪", "👩‍👩‍👧", "1️⃣",
    "\ud800", "\udfff", "\0", "\r", "\n", "\r\n", "\n\n", "\u2028", "\u2029", "\x85", "\x91", "\x80",
    " ", "\t", "\xa0", "\u3000", "𝐁", "ｗ", "Ⓦ", "🅰",
    "“", "’", "â", "ß", "é", "e\u0301", "漢", "가", "ﷺ", "İ",
    "word ", "def f():\n    ",
)  # fmt: skip
SPACE = st.sampled_from(["", " ", "\n", "\n\n", "\n    "])

# A first call imports langchain or unstructured, and the machine is shared: no deadline.
patiently = settings(deadline=None)

nasty_texts = st.lists(st.sampled_from(PARTS), max_size=60).map("".join)
# What a program that guessed the encoding wrong hands on.
misread_bytes = st.binary(max_size=200).flatmap(
    lambda body: st.sampled_from(
        [body.decode("utf-8", "surrogateescape"), body.decode("latin-1"), body.decode("utf-16", "replace")]
    )
)
any_texts = st.one_of(nasty_texts, st.text(), st.text(alphabet=st.characters()), misread_bytes)
long_texts = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=400).map("".join),
    st.lists(st.tuples(st.text(min_size=1, max_size=90), SPACE).map("".join), max_size=30).map("".join),
)
