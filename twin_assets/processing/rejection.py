"""What turns a document's failure into DocumentRejected without carrying its text along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from twin_assets.errors import DocumentRejected

# UnicodeError and pydantic's errors derive from these; MemoryError, OSError, RuntimeError are the machine's.
DOCUMENT_FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    re.error,
)
MAX_NAME_LENGTH = 80


class Unprocessable(ValueError):
    """Raised by a handler that refuses a document; its text is ours and safe to show."""


@contextmanager
def rejecting(stage: str, key: str) -> Iterator[None]:
    """Turn what a document makes a library raise into DocumentRejected.

    It has the frames of the fault, but is not chained to it: a library's message may quote the text.
    """
    try:
        yield
    except DOCUMENT_FAULTS as fault:
        rejected = DocumentRejected(stage=stage, key=key, reason=reason_of(fault))
        raise rejected.with_traceback(fault.__traceback__) from None


def reason_of(fault: BaseException) -> str:
    """Say what went wrong in words that cannot hold the document's text."""
    if isinstance(fault, ValidationError):
        faults = fault.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(f"{field_name(*fault['loc'])}: {fault['msg']}" for fault in faults)
    if isinstance(fault, Unprocessable):
        return str(fault)
    return f"{type(fault).__name__}, see the traceback"


def field_name(*parts: object) -> str:
    """Return `content.body`: the parts of a path, each shortened, without lone surrogates."""
    return ".".join(str(part)[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode() for part in parts)
