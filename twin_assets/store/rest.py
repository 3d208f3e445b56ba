"""What every way to Qdrant shares: its answers as this project's errors, its certificates and logins."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from twin_assets.errors import ConfigurationError, GenerationMissing, StoreUnavailable
from twin_assets.settings import Settings, without_credentials

NOT_FOUND = 404
FORBIDDEN = (401, 403)
SERVER_FAULTS = 500


def port_of(parts: SplitResult) -> int:
    """Return the port of a URL: Qdrant's own where it names none, but for TLS."""
    return parts.port or (443 if parts.scheme == "https" else 6333)


def login_of(parts: SplitResult) -> tuple[str, str] | None:
    """Return user and password of a URL, which are for a proxy before Qdrant."""
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def rest_client(settings: Settings, *, timeout_s: float) -> httpx.Client:
    """Return a client of Qdrant's own HTTP interface; whoever called it closes it."""
    url = settings.require_url("qdrant_url")
    parts = urlsplit(url)
    key = settings.qdrant_api_key
    ca_file = settings.qdrant_ca_file
    return httpx.Client(
        base_url=httpx.URL(without_credentials(url)).copy_with(port=port_of(parts)),
        headers={"api-key": key.get_secret_value()} if key else {},
        auth=login_of(parts),
        verify=authority(ca_file) if ca_file else True,
        timeout=timeout_s,
    )


def silence_of(url: str, error: httpx.HTTPError) -> StoreUnavailable:
    """Return what a request that got no answer says of the server."""
    reason = str(error) if isinstance(error, httpx.ConnectError) else type(error).__name__
    return StoreUnavailable(without_credentials(url), reason)


def authority(ca_file: Path) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file alone. Raises ConfigurationError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(
            f"TWIN_QDRANT_CA_FILE cannot be read as certificates ({error.strerror or error})"
        ) from error


def fault_of(status: int, url: str, collection: str = "") -> Exception | None:
    """Return what an HTTP status says of a server or a collection; None where the request was wrong."""
    if status == NOT_FOUND and collection:
        return GenerationMissing(collection)
    if status in FORBIDDEN:
        return ConfigurationError("Qdrant refuses the key; set TWIN_QDRANT_API_KEY")
    if status >= SERVER_FAULTS:
        return StoreUnavailable(without_credentials(url), f"HTTP {status}")
    return None
