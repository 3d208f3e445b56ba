from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pytest

from twin_assets.broker.publisher import ChangePublisher
from twin_assets.operations import twin as twin_module
from twin_assets.operations.twin import Twin
from twin_assets.processing.hash_encoder import HashEncoder
from twin_assets_tests.scenarios.chaos.poison import TEXT, UNENCODABLE, UNSOUND
from twin_assets_tests.scenarios.chaos.tally import ROW, Row, Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest, twin: Twin, in_step: Callable[[], None]) -> Iterator[Tally]:
    """Counts one scenario; a test that never calls `settle` proves nothing and fails."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    found = Tally(twin, Row(name), in_step)
    yield found
    request.node.user_properties.append((ROW, found.row.as_dict()))
    assert found.is_settled, "the scenario was not judged: it never called tally.settle()"


@pytest.fixture
def short_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute of patience with a broker that confirms nothing is cut to a second."""
    hasty = partial(ChangePublisher, confirm_timeout_s=1.0)
    monkeypatch.setattr(twin_module, "ChangePublisher", hasty)


@pytest.fixture
def fussy_encoder(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """An encoder that refuses some texts; returns what mends it."""
    original = HashEncoder.encode

    def encode(self: HashEncoder, texts: Sequence[str]) -> np.ndarray:
        if any(UNENCODABLE in text for text in texts):
            raise ValueError(f"cannot encode {TEXT}")
        rows = original(self, texts)
        for row, text in zip(rows, texts, strict=True):
            if UNSOUND in text:
                row[:] = np.nan
        return rows

    monkeypatch.setattr(HashEncoder, "encode", encode)
    return lambda: monkeypatch.setattr(HashEncoder, "encode", original)
