"""What writes certificates, run as it stands in the task definitions, and who may read them there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import AUTHORITIES

READERS = {"run", "code", "prepare", "qdrant"}


def writer_of(declared, name):
    _, writer = declared.definitions()[name]
    return writer


def test_no_task_has_such_a_container_where_the_servers_are_elsewhere(small):
    for definition in small.of("ecs/taskDefinition"):
        [container] = json.loads(definition["containerDefinitions"])
        assert not {"dependsOn", "mountPoints"} & set(container)
        assert not definition.inputs.get("volumes")


def test_whoever_speaks_to_the_servers_starts_after_the_certificates_and_cannot_change_them(self_hosted):
    definitions = self_hosted.definitions()
    assert {name for name, containers in definitions.items() if len(containers) > 1} == READERS
    for name in READERS:
        reader, writer = definitions[name]
        assert reader["name"] == name, "whom Dagster's launcher and run_task.py override"
        assert reader["essential"] is True
        assert reader["dependsOn"] == [{"containerName": "certificates", "condition": "SUCCESS"}]
        mounts = {each["sourceVolume"]: each for each in reader["mountPoints"]}
        assert (mounts["certificates"]["containerPath"], mounts["certificates"]["readOnly"]) == (
            "/certificates", True
        )  # fmt: skip
        # ECS lets nothing wait for the end of an essential container.
        assert (writer["name"], writer["essential"], writer["user"]) == ("certificates", False, "0")
        assert writer["image"] == reader["image"]
        assert writer["mountPoints"] == [
            {"sourceVolume": "certificates", "containerPath": "/certificates", "readOnly": False}
        ]
        volumes = self_hosted.one("ecs/taskDefinition", name)["volumes"]
        assert {"name": "certificates"} in volumes, "the task's own, which ends with it"


@pytest.mark.parametrize("name", ["run", "code", "prepare"])
def test_the_authorities_are_written_as_files_that_anybody_may_read(self_hosted, tmp_path, name):
    writer = writer_of(self_hosted, name)
    python, flag, program, folder = writer["command"]
    assert (python, flag, folder) == ("python", "-c", "/certificates")
    assert not writer.get("secrets")
    environment = {each["name"]: each["value"] for each in writer["environment"]}
    subprocess.run([sys.executable, flag, program, str(tmp_path)], env=environment, check=True)
    expected = {"mongodb.pem": AUTHORITIES}
    if name != "prepare":
        expected["qdrant.pem"] = "the authority qdrant-authority"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == expected
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_a_file_that_cannot_be_written_fails_the_task(self_hosted, tmp_path):
    writer = writer_of(self_hosted, "run")
    environment = {each["name"]: each["value"] for each in writer["environment"]}
    command = [sys.executable, "-c", writer["command"][2], str(tmp_path / "missing")]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode != 0


def test_qdrants_certificate_and_key_are_written_for_its_user_alone(self_hosted, tmp_path):
    writer = writer_of(self_hosted, "qdrant")
    *command, folder = writer["entryPoint"]
    assert (command[:2], folder) == (["bash", "-c"], "/certificates")
    [key] = writer["secrets"]
    assert (key["name"], key["valueFrom"].rsplit("/", 1)[1]) == ("KEY", "qdrant-tls-key")
    environment = {each["name"]: each["value"] for each in writer["environment"]}
    environment |= {"KEY": "a key", "PATH": "/usr/bin:/bin"}
    subprocess.run([*command, str(tmp_path)], env=environment, check=True)
    server = self_hosted.environment("qdrant")
    assert {f"/certificates/{path.name}": path.read_text() for path in tmp_path.iterdir()} == {
        server["QDRANT__TLS__CERT"]: "the certificate qdrant\n",
        server["QDRANT__TLS__KEY"]: "a key\n",
        server["AUTHORITY"]: "the authority qdrant-authority\n",
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_task_definition_stays_below_what_ecs_takes(self_hosted):
    for definition in self_hosted.of("ecs/taskDefinition"):
        # 64 KB in all, of which the region's certificates may be 32.
        assert len(definition["containerDefinitions"]) - len(AUTHORITIES) < 28 * 1024
