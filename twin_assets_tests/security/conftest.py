"""What the tests of security share with those of whole scenarios: a twin, and the flows on it."""

from __future__ import annotations

from twin_assets_tests.scenarios.conftest import (  # noqa: F401 - fixtures
    capturing,
    documents,
    in_step,
    settings,
    streaming,
    twin,
)
