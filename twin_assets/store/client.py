"""The one connection to Qdrant, and the translation of its library's exceptions."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from twin_assets.errors import ConfigurationError, GenerationMissing, StoreUnavailable
from twin_assets.settings import without_credentials

NOT_FOUND = 404
FORBIDDEN = (401, 403)
SERVER_FAULTS = 500


def connect(
    url: str, *, api_key: str | None = None, ca_file: Path | None = None, timeout_s: int = 30
) -> QdrantClient:
    """Return a client; nothing is sent before the first call. Trusts `ca_file` alone, where it is given."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 6333)
    options: dict[str, Any] = {"verify": _authority(ca_file)} if ca_file else {}
    if parts.username:  # for a proxy before Qdrant; the client itself drops them
        options["auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return QdrantClient(
        url=url, port=port, api_key=api_key, timeout=timeout_s, check_compatibility=False, **options
    )


def _authority(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(
            f"TWIN_QDRANT_CA_FILE cannot be read as certificates ({error.strerror or error})"
        ) from error


@contextmanager
def translated(url: str, collection: str = "") -> Iterator[None]:
    """Turn what qdrant-client raises into this project's errors; a wrong request stays what it is."""
    try:
        yield
    except (ResponseHandlingException, ResourceExhaustedResponse, httpx.TransportError) as error:
        raise StoreUnavailable(without_credentials(url), _reason_of(error)) from error
    except UnexpectedResponse as error:
        status = error.status_code or SERVER_FAULTS
        if status == NOT_FOUND and collection:
            raise GenerationMissing(collection) from error
        if status in FORBIDDEN:
            raise ConfigurationError("Qdrant refuses the key; set TWIN_QDRANT_API_KEY") from error
        if status >= SERVER_FAULTS:
            raise StoreUnavailable(without_credentials(url), f"HTTP {status}") from error
        raise


def _reason_of(error: Exception) -> str:
    """Quote a failed connection; any other text of the library may hold a document's."""
    fault = error.source if isinstance(error, ResponseHandlingException) else error
    return str(fault) if isinstance(fault, httpx.ConnectError) else type(fault).__name__
