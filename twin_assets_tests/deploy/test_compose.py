from __future__ import annotations

import re
from importlib.metadata import entry_points

import jsonschema
import pytest

from twin_assets.settings import load_settings
from twin_assets_tests.deploy.files import (
    ROOT,
    VARIABLE,
    interpolate,
    read_dotenv_example,
    read_yaml,
    schema,
    shared_settings,
)

COMPOSE = read_yaml("docker-compose.yaml")
SERVICES = COMPOSE["services"]
TEXT = (ROOT / "docker-compose.yaml").read_text()
FILLED_IN = {name: value or "5ecret" for name, value in read_dotenv_example().items()}
BACKUP = {name for name, service in SERVICES.items() if "backup" in service.get("profiles", [])}
ONE_SHOT = {"mongo-init"} | BACKUP
LASTING_OURS = {"code", "webserver", "daemon"}
OUR_IMAGE = LASTING_OURS | {"backup", "backup-qdrant"}


def test_it_is_valid_by_the_compose_specification() -> None:
    jsonschema.validate(COMPOSE, schema("compose-spec"))


def test_the_schema_rejects_a_misspelled_key() -> None:
    wrong = {"services": {"mongo": {"image": "mongo:7.0", "restrat": "always"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema("compose-spec"))


def test_the_parts_that_the_system_needs_are_there() -> None:
    servers = {"mongo", "mongo-init", "rabbitmq", "qdrant", "postgres", "proxy"}
    assert SERVICES.keys() - BACKUP == servers | LASTING_OURS
    assert {"backup-mongo", "backup-postgres", "backup-qdrant", "backup-rabbitmq", "backup"} == BACKUP


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - OUR_IMAGE))
def test_every_image_has_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w/-]+:v?\d+(\.\d+)*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_every_lasting_service_restarts_and_shows_its_health(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    # The code location runs the image's own command, so the image's own health check asks it.
    assert "healthcheck" in SERVICES[name] or (name == "code" and "command" not in SERVICES[name])


def test_no_password_stands_in_the_file_and_every_one_is_required() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASS|_KEY$", name):
                assert VARIABLE.fullmatch(value), name
                assert VARIABLE.fullmatch(value)["kind"] == "?", name
    assert not re.search(r"://\w+:(?!\$\{)[^@\s]+@", TEXT)


def test_the_example_names_every_variable_and_gives_no_password() -> None:
    wanted = {hit["name"] for hit in VARIABLE.finditer(TEXT)} - shared_settings()
    example = read_dotenv_example()
    assert wanted - {"TWIN_IMAGE"} <= example.keys()
    required = {hit["name"] for hit in VARIABLE.finditer(TEXT) if hit["kind"] == "?"}
    assert {name: example[name] for name in required} == dict.fromkeys(required, "")


def test_what_the_example_names_is_a_setting_or_used_here() -> None:
    used = {hit["name"] for hit in VARIABLE.finditer(TEXT)}
    assert read_dotenv_example().keys() <= used


def test_a_missing_password_is_an_error() -> None:
    with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
        interpolate(SERVICES, FILLED_IN | {"POSTGRES_PASSWORD": ""})


@pytest.mark.parametrize("name", ["code", "daemon", "backup", "backup-qdrant"])
def test_every_shared_setting_reaches_the_code_and_the_daemon(name: str) -> None:
    given = {key for key in SERVICES[name]["environment"] if key.startswith("TWIN_")}
    assert given == shared_settings()


def test_the_settings_of_the_containers_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in interpolate(SERVICES["code"]["environment"], FILLED_IN).items():
        monkeypatch.setenv(name, value)
    settings = load_settings(_env_file=None)
    assert settings.require_url("mongodb_url") == (
        "mongodb://twin:5ecret@mongo:27017/?replicaSet=rs0&authSource=admin"
    )
    assert settings.require_url("rabbitmq_url") == "amqp://twin:5ecret@rabbitmq:5672/%2F"
    assert settings.require_url("qdrant_url") == "http://qdrant:6333"
    assert settings.code_model is None


def test_every_mounted_file_and_volume_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), source
            elif source not in {"/var/run/docker.sock", "${BACKUPS"}:
                assert source in COMPOSE["volumes"]


def test_the_data_of_every_server_is_on_a_volume() -> None:
    kept = {
        name: "\n".join(SERVICES[name]["volumes"]) for name in ("mongo", "rabbitmq", "qdrant", "postgres")
    }
    assert "mongo-data:/data/db" in kept["mongo"]
    assert "rabbitmq-data:/var/lib/rabbitmq" in kept["rabbitmq"]
    assert "qdrant-data:/qdrant/storage" in kept["qdrant"]
    assert "postgres-data:/var/lib/postgresql/data" in kept["postgres"]


def test_every_dependency_is_a_service_and_waits_for_its_health() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if name in ONE_SHOT else "service_healthy"
            assert wait["condition"] == expected


def test_a_lasting_service_waits_for_each_one_shot_service() -> None:
    # Else `docker compose up --wait` takes its good end for a failure.
    waited_for = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert waited_for >= ONE_SHOT - {"backup"}


@pytest.mark.parametrize("name", sorted(OUR_IMAGE))
def test_our_containers_have_few_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # A backup is one folder for several images, whose users have nothing else in common.
    assert service.get("user") == ("0:0" if name in BACKUP else None)


def test_the_steps_of_a_backup_are_a_chain() -> None:
    awaited = [step for name in BACKUP for step in SERVICES[name]["depends_on"] if step in BACKUP]
    assert sorted(awaited) == sorted(BACKUP - {"backup"})


@pytest.mark.parametrize("name", sorted(BACKUP))
def test_nothing_of_a_backup_starts_by_itself_or_lasts(name: str) -> None:
    service = SERVICES[name]
    assert service["profiles"] == ["backup"]
    assert service["restart"] == "no"
    assert (service["cap_drop"], service["cap_add"]) == (["ALL"], ["DAC_OVERRIDE"])


def test_a_backup_is_no_backup_without_each_part_that_its_steps_write() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "deploy/compose/backup").glob("*.sh"))
    expected = [each.partition("=")[2] for each in SERVICES["backup"]["command"] if "--expect" in each]
    assert len(expected) == len(set(expected)) == 4
    assert [part for part in expected if part not in scripts] == []


def test_no_password_of_a_backup_stands_on_a_command_line() -> None:
    for path in (ROOT / "deploy/compose/backup").glob("*.sh"):
        commands = [
            line for line in path.read_text().splitlines() if not line.lstrip().startswith(("#", "printf"))
        ]
        assert "PASSWORD" not in "".join(commands), path.name


def test_every_command_of_ours_is_installed() -> None:
    installed = {script.name for script in entry_points(group="console_scripts")}
    commands = [SERVICES[name]["command"][0] for name in OUR_IMAGE - {"code"}]
    assert set(commands) <= installed


def test_only_who_starts_and_stops_runs_may_use_dockers_socket() -> None:
    owners = {name for name, service in SERVICES.items() if "docker.sock" in str(service.get("volumes"))}
    assert owners == {"webserver", "daemon"}


def test_the_broker_keeps_a_channel_for_a_day_as_in_the_local_stack() -> None:
    local = "\n".join(path.read_text() for path in (ROOT / "twin_assets/stack").glob("*.py"))
    setting = "consumer_timeout = 86400000"
    assert setting in (ROOT / "deploy/compose/rabbitmq.conf").read_text()
    assert setting in local


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_has_limits(name: str) -> None:
    service = SERVICES[name]
    assert 0 < service["cpus"] <= 4
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 2048


def test_the_ui_is_reached_through_the_login_alone() -> None:
    assert "ports" not in SERVICES["webserver"]
    [port] = SERVICES["proxy"]["ports"]
    assert port.endswith(":8080")
    config = (ROOT / "deploy/compose/Caddyfile").read_text()
    [site] = re.findall(r"^:8080 \{\n(.*?)^\}", config, flags=re.MULTILINE | re.DOTALL)
    assert site.index("basicauth {") < site.index("reverse_proxy")
    assert "{$UI_USER} {$UI_PASSWORD_HASH}" in site
    assert set(re.findall(r"^(:\d+) \{", config, flags=re.MULTILINE)) == {":8080", ":8081"}
    assert ":8081" not in str(SERVICES["proxy"]["ports"])
    assert SERVICES["proxy"]["environment"].keys() == {"UI_USER", "UI_PASSWORD_HASH"}


def test_the_proxy_has_few_rights_and_the_one_that_its_program_carries() -> None:
    proxy = SERVICES["proxy"]
    assert proxy["read_only"] is True
    assert (proxy["cap_drop"], proxy["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert proxy["user"] == "10001:10001"
