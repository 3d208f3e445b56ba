"""Programming languages by file name, where langchain knows how to split them."""

from __future__ import annotations

from pathlib import PurePosixPath

_EXTENSIONS = {
    "c": "c h",
    "cobol": "cbl cob cpy",
    "cpp": "cpp cc cxx hpp hh hxx c++ h++ ipp cu cuh",
    "csharp": "cs csx",
    "elixir": "ex exs",
    "go": "go",
    "haskell": "hs lhs",
    "html": "html htm xhtml vue svelte",
    "java": "java",
    "js": "js jsx mjs cjs",
    "kotlin": "kt kts",
    "latex": "tex sty cls",
    "lua": "lua",
    "markdown": "md markdown mdx",
    "php": "php phtml",
    "powershell": "ps1 psm1 psd1",
    "proto": "proto",
    "python": "py pyi pyw pyx",
    "r": "r",
    "rst": "rst",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc sbt",
    "sol": "sol",
    "swift": "swift",
    "ts": "ts tsx mts cts",
    "visualbasic6": "bas frm",
}
LANGUAGES = {extension: name for name, extensions in _EXTENSIONS.items() for extension in extensions.split()}


def language_of(path: str) -> str | None:
    """Return langchain's name of a file's language, None where it has no splitter for it."""
    return LANGUAGES.get(PurePosixPath(path).suffix[1:].lower())
