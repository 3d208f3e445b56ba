"""All settings, in one place: TWIN_* in the environment, `.env`, then what the running local stack wrote."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from twin_assets.errors import ConfigurationError

STACK_FILE = "stack.json"
ENCODER_DIR = Path(sys.prefix) / "encoders"
URL_SCHEMES = {
    "mongodb_url": ("mongodb://", "mongodb+srv://"),
    "mongodb_admin_url": ("mongodb://", "mongodb+srv://"),
    "rabbitmq_url": ("amqp://", "amqps://"),
    "qdrant_url": ("http://", "https://"),
    "dagster_url": ("http://", "https://"),
    "traces_url": ("http://", "https://"),
}
# An @ behind the hosts means that nobody can say where the password ends.
_HOST = r"(?:[\w.~%-]+|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?"
_URL = re.compile(
    rf"(?P<scheme>[a-z][a-z+]*://)(?:[^/?#\s]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<path>/[^?#@\s]*)?(?:[?#][^@\s]*)?"
)


class Settings(BaseSettings):
    """Everything that can be set, with its default. Sizes are characters, times are seconds.

    A URL that is set is used as it is; one that is not comes from the local stack (`twin up`).
    """

    # Compose files hand every variable on, the unset ones as empty text.
    model_config = SettingsConfigDict(
        env_prefix="TWIN_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    state_dir: Path = Path(".twin")
    tools_dir: Path = Path(sys.prefix) / "tools"
    profile: Literal["small", "full"] = "small"

    mongodb_url: SecretStr | None = None
    mongodb_admin_url: SecretStr | None = None
    mongodb_dialect: Literal["mongodb", "documentdb"] = "mongodb"
    mongodb_log_hours: float = Field(default=3.0, ge=2, le=168)
    mongodb_database: str = Field(default="twin", pattern=r"^[A-Za-z0-9_-]{1,48}$")
    rabbitmq_url: SecretStr | None = None
    rabbitmq_queues: int = Field(default=8, ge=1, le=256)
    rabbitmq_prefetch: int = Field(default=64, ge=1, le=2000)
    qdrant_url: SecretStr | None = None
    qdrant_api_key: SecretStr | None = None
    qdrant_ca_file: Path | None = None
    qdrant_timeout_s: int = Field(default=30, ge=1)

    # Where `twin status` asks for the long runs; unset, the local stack's own.
    dagster_url: SecretStr | None = None

    text_model: str = "all-MiniLM-L6-v2"
    text_instruction: str = "Represent the text for retrieval"
    code_model: str | None = None
    code_instruction: str = "Represent the source code for retrieval"
    text_chunk_size: int = Field(default=500, ge=50)
    text_chunk_overlap: int = Field(default=50, ge=0)
    code_chunk_size: int = Field(default=1000, ge=50)
    code_chunk_overlap: int = Field(default=100, ge=0)
    text_precision: Literal["float32", "int8"] = "float32"
    code_precision: Literal["float32", "int8"] = "float32"
    max_chunks: int = Field(default=20_000, ge=1)
    encoder_backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    encoder_dir: Path = ENCODER_DIR
    cleaning_ascii_only: bool = False

    local_mongodb_port: int = Field(default=27027, ge=1, le=65535)
    local_rabbitmq_port: int = Field(default=5682, ge=1, le=65535)
    local_rabbitmq_dist_port: int = Field(default=25682, ge=1, le=65535)
    local_epmd_port: int = Field(default=4379, ge=1, le=65535)
    local_qdrant_port: int = Field(default=6343, ge=1, le=65535)
    local_qdrant_grpc_port: int = Field(default=6344, ge=1, le=65535)
    local_dagster_port: int = Field(default=3000, ge=1, le=65535)

    stream_replicas: int = Field(default=1, ge=1, le=64)
    stream_replicas_max: int = Field(default=0, ge=0, le=64)
    lag_slo_s: float = Field(default=30.0, gt=0)
    marker_interval_s: float = Field(default=2.0, gt=0)
    heartbeat_interval_s: float = Field(default=5.0, gt=0)
    heartbeat_limit_s: float = Field(default=30.0, gt=0)
    observation_interval_s: float = Field(default=300.0, gt=0)
    standby_hours: float = Field(default=24.0, ge=0)
    tombstone_hours: float = Field(default=24.0, ge=0)
    metrics_port: int = Field(default=0, ge=0, le=65_000)
    metrics_host: str = "127.0.0.1"
    traces_url: SecretStr | None = None
    traces_ratio: float = Field(default=1.0, ge=0, le=1)
    run_retention_days: float = Field(default=30.0, ge=0)
    audit_cycle_hours: float = Field(default=24.0, gt=0)
    embedding_cache_mb: float = Field(default=32.0, ge=0)
    rebuild_priority: Literal["normal", "low", "idle"] = "idle"
    auto_repair: bool = False
    auto_repair_limit: int = Field(default=100, ge=0)

    @field_validator(*URL_SCHEMES)
    @classmethod
    def _has_its_scheme_and_form(cls, url: SecretStr | None, info: Any) -> SecretStr | None:
        schemes = URL_SCHEMES[info.field_name]
        if url is not None and not url.get_secret_value().startswith(schemes):
            raise ValueError(f"must start with {' or '.join(schemes)}")
        if url is not None and not _URL.fullmatch(url.get_secret_value()):
            raise ValueError(
                f"must be of the form {schemes[0]}user:password@host:port, with special characters in user, "
                "password and options percent-encoded"
            )
        return url

    @field_validator("qdrant_api_key")
    @classmethod
    def _fits_into_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        # The HTTP client would quote the key in its complaint.
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError(
                "must be printable ASCII without white space; does its file end with a new line?"
            )
        return key

    @field_validator("text_chunk_overlap", "code_chunk_overlap")
    @classmethod
    def _overlap_is_smaller(cls, overlap: int, info: Any) -> int:
        size = info.data.get(info.field_name.replace("overlap", "size"))
        if size is not None and overlap >= size:
            raise ValueError(f"must be smaller than the chunk size {size}")
        return overlap

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the running local stack's URLs below everything that a person set."""
        known: dict[str, Any] = {**dotenv_settings(), **env_settings(), **init_settings()}
        stack = Path(known.get("state_dir", ".twin")) / STACK_FILE
        local = JsonConfigSettingsSource(settings_cls, json_file=stack)
        return init_settings, env_settings, dotenv_settings, file_secret_settings, local

    def require_url(self, name: Literal["mongodb_url", "rabbitmq_url", "qdrant_url"]) -> str:
        """Return a server's URL, secrets included. Raises ConfigurationError where none is known."""
        url: SecretStr | None = getattr(self, name)
        if url is None:
            raise ConfigurationError(
                f"TWIN_{name.upper()} is not set and no local stack runs here; start one with `twin up`, "
                "or go to the folder where it runs"
            )
        return url.get_secret_value()

    @property
    def meta_database(self) -> str:
        """The MongoDB database of our own records."""
        return f"{self.mongodb_database}_meta"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises ConfigurationError with one line per wrong setting, values left out."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"TWIN_{str(fault['loc'][0]).upper()}: {_plain(fault['msg'])}" for fault in error.errors()]
        raise ConfigurationError("; ".join(lines)) from None


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")  # pydantic's word for what a validator of ours says


def without_credentials(url: str) -> str:
    """Return a URL that may be shown: no user, no password, no query; all hosts of a replica set stay."""
    parts = _URL.fullmatch(url)
    return f"{parts['scheme']}{parts['hosts']}{parts['path'] or ''}" if parts else "a URL of another form"
