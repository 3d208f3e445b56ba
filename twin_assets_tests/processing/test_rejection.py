from __future__ import annotations

import re
import traceback

import pytest

from twin_assets.errors import DocumentRejected
from twin_assets.processing.rejection import Unprocessable, rejecting

SECRET = "what nobody may read"


@pytest.mark.parametrize(
    "fault",
    [
        ValueError(SECRET), TypeError(SECRET), KeyError(SECRET), AttributeError(SECRET),
        RecursionError(SECRET), OverflowError(SECRET), re.error(SECRET),
        UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET),
    ],
)  # fmt: skip
def test_fault_of_a_document_is_a_rejection_without_its_text(fault: Exception) -> None:
    with pytest.raises(DocumentRejected) as caught, rejecting("cleaning", "posts/int:7"):
        raise fault
    assert type(fault).__name__ in caught.value.reason
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_refusal_of_ours_gives_its_reason() -> None:
    with pytest.raises(DocumentRejected) as caught, rejecting("cleaning", "posts/int:7"):
        raise Unprocessable("too long")
    assert str(caught.value) == "posts/int:7 was rejected while cleaning: too long"


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(), RuntimeError("CUDA"), NotImplementedError()])
def test_trouble_of_the_machine_is_no_rejection(trouble: Exception) -> None:
    with pytest.raises(type(trouble)), rejecting("embedding", "posts/int:7"):
        raise trouble
