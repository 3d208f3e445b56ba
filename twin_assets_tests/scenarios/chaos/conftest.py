from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.chaos.tally import ROW, Row, Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest, twin: Twin, in_step: Callable[[], None]) -> Iterator[Tally]:
    """Counts one scenario; a test that never calls `settle` proves nothing and fails."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    found = Tally(twin, Row(name), in_step)
    yield found
    request.node.user_properties.append((ROW, found.row.as_dict()))
    assert found.is_settled, "the scenario was not judged: it never called tally.settle()"
