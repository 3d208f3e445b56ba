"""The one connection to Qdrant, and the translation of its library's exceptions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from twin_assets.errors import StoreUnavailable
from twin_assets.settings import without_credentials
from twin_assets.store.rest import SERVER_FAULTS, authority, fault_of, login_of, port_of


def connect(
    url: str, *, api_key: str | None = None, ca_file: Path | None = None, timeout_s: int = 30
) -> QdrantClient:
    """Return a client; nothing is sent before the first call. Trusts `ca_file` alone, where it is given."""
    parts = urlsplit(url)
    # Compose's own network is one of those; docs/security.md says what becomes of a key without TLS.
    warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
    options: dict[str, Any] = {"verify": authority(ca_file)} if ca_file else {}
    login = login_of(parts)
    if login:  # the client itself drops them
        options["auth"] = login
    return QdrantClient(
        url=url,
        port=port_of(parts),
        api_key=api_key,
        timeout=timeout_s,
        check_compatibility=False,
        **options,
    )


@contextmanager
def translated(url: str, collection: str = "") -> Iterator[None]:
    """Turn what qdrant-client raises into this project's errors; a wrong request stays what it is."""
    try:
        yield
    except (ResponseHandlingException, ResourceExhaustedResponse, httpx.TransportError) as error:
        raise StoreUnavailable(without_credentials(url), _reason_of(error)) from error
    except UnexpectedResponse as error:
        fault = fault_of(error.status_code or SERVER_FAULTS, url, collection)
        if fault is None:
            raise
        raise fault from error


def _reason_of(error: Exception) -> str:
    """Quote a failed connection; any other text of the library may hold a document's."""
    fault = error.source if isinstance(error, ResponseHandlingException) else error
    return str(fault) if isinstance(fault, httpx.ConnectError) else type(fault).__name__
