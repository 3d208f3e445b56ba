"""Where MongoDB and Qdrant come from: reached by URL, or made by this program."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

import pulumi

from infrastructure.sizes import Size
from infrastructure.values import ConfigError, between, matching, one_of, refuse

PROGRAM = Path(__file__).parents[1]
BUNDLE = "https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem"
# A task definition holds 64 KB in all. A region's bundle has some 8, that of all regions more than 150.
BUNDLE_LIMIT = 32 * 1024


@dataclass(frozen=True)
class MongodbByUrl:
    """Atlas, or any other replica set that is there already."""

    url: pulumi.Output[str]


@dataclass(frozen=True)
class DocumentDb:
    """Amazon DocumentDB, whose certificates are signed by Amazon's authorities of the region."""

    authorities: str


@dataclass(frozen=True)
class QdrantByUrl:
    """Qdrant Cloud, or any other that is there already."""

    url: str
    api_key: pulumi.Output[str]


@dataclass(frozen=True)
class QdrantOnEcs:
    """One Qdrant on a machine and a volume of its own, of so many GiB.

    Without an image the machine gets the newest when it is made, without a snapshot the volume is empty then.
    """

    storage: int
    host_image: str | None
    snapshot: str | None


def read_mongodb(config: pulumi.Config) -> MongodbByUrl | DocumentDb:
    """Return the choice of `mongodb`. Raises ConfigError, for values of the other choice too."""
    if one_of(config, "mongodb", "url", "url", "documentdb") == "url":
        refuse(config, ("documentdbCaFile",), because="mongodb is url")
        return MongodbByUrl(config.require_secret("mongodbUrl"))
    refuse(config, ("mongodbUrl",), because="mongodb is documentdb, whose URL the program makes")
    return DocumentDb(_authorities(config.get("documentdbCaFile")))


def read_qdrant(config: pulumi.Config, size: Size) -> QdrantByUrl | QdrantOnEcs:
    """Return the choice of `qdrant`. Raises ConfigError, for values of the other choice too."""
    if one_of(config, "qdrant", "url", "url", "ecs") == "url":
        refuse(config, ("qdrantStorage", "qdrantHostImage", "qdrantSnapshot"), because="qdrant is url")
        url = matching(config, "qdrantUrl", re.compile(r"https://[^\s@]+"), "https://…, without a password")
        return QdrantByUrl(url, config.require_secret("qdrantApiKey"))
    refuse(config, ("qdrantUrl", "qdrantApiKey"), because="qdrant is ecs, where the program makes them")
    return QdrantOnEcs(
        storage=between(config, "qdrantStorage", size.qdrant_storage, low=10, high=16384),
        host_image=_identity(config, "qdrantHostImage", "ami", "an AMI"),
        snapshot=_identity(config, "qdrantSnapshot", "snap", "a snapshot"),
    )


def _identity(config: pulumi.Config, name: str, kind: str, of: str) -> str | None:
    if not config.get(name):
        return None
    return matching(config, name, re.compile(rf"{kind}-[0-9a-f]{{8,17}}"), f"the id of {of}")


def _authorities(path: str | None) -> str:
    if not path:
        raise _wrong_file("not set")
    try:
        text = (PROGRAM / path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise _wrong_file(f"{path!r}, which cannot be read ({type(error).__name__})") from None
    if len(text) > BUNDLE_LIMIT:
        raise _wrong_file(f"{path!r}, too large for a task definition: take your region's bundle, not all")
    if "PRIVATE KEY" in text:
        raise _wrong_file(f"{path!r}, which holds a private key; it would be in plain text")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise _wrong_file(f"{path!r}, which holds no certificates in PEM") from None
    return text


def _wrong_file(what: str) -> ConfigError:
    return ConfigError(
        f"documentdbCaFile is {what}; download {BUNDLE} and set it to that file's path: "
        "pulumi config set documentdbCaFile …"
    )
