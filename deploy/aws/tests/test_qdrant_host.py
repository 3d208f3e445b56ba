"""The machine of Qdrant: what it runs, run here with stand-ins for what touches devices."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "infrastructure" / "qdrant" / "mount_volume.sh"
VOLUME = "vol-0123456789abcdef0"
DEVICE = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
MIB = 2**20
NO_FILE_SYSTEM = 2
# Each notes how it was called; what they answer is in files beside them.
STAND_IN = """#!/bin/bash
echo "{name} $*" >>"{calls}"
{body}
"""
BODIES = {
    "mountpoint": "exit 1",
    "blkid": '[[ $* != *UUID* ]] || {{ cat "{uuid}"; exit; }}; exit "$(cat {probe})"',
    "mkfs.ext4": 'echo made >"{uuid}"',
    "mount": "",
    "resize2fs": "",
}


@dataclass
class Machine:
    """A folder of devices, and commands that only say that they were called."""

    root: Path
    commands: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "devices"):
            (self.root / name).mkdir()
        for name, body in {**BODIES, **self.commands}.items():
            self.replace(name, body)
        self.answer(NO_FILE_SYSTEM)

    def replace(self, name: str, body: str) -> None:
        files = {"calls": self.calls_file, "uuid": self.root / "uuid", "probe": self.root / "probe"}
        path = self.root / "bin" / name
        path.write_text(STAND_IN.format(name=name, body=body.format(**files), **files))
        path.chmod(0o755)

    @property
    def calls_file(self) -> Path:
        return self.root / "calls"

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def device(self) -> Path:
        return self.root / "devices" / DEVICE

    def attach(self, content: bytes = bytes(5 * MIB)) -> None:
        self.device.write_bytes(content)

    def answer(self, code: int, uuid: str = "") -> None:
        """Have blkid end with a code, and know a file system."""
        (self.root / "probe").write_text(str(code))
        (self.root / "uuid").write_text(uuid)

    def run(self, *, limit_s: int = 20) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "DEVICES": str(self.root / "devices"),
            "LIMIT_S": str(limit_s),
            "PAUSE_S": "0.2",
        }
        return subprocess.run(
            ["bash", str(SCRIPT), VOLUME, str(self.root / "data")],
            env=environment, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    def was_called(self, name: str) -> bool:
        return any(call.split()[0] == name for call in self.calls)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_new_volume_gets_a_file_system_and_is_mounted_by_its_id(machine):
    machine.attach()
    ran = machine.run()
    assert ran.returncode == 0, ran.stderr
    names = [call.split()[0] for call in machine.calls]
    assert names == ["mountpoint", "blkid", "mkfs.ext4", "blkid", "mount", "resize2fs"]
    assert f"mount -t ext4 -o noatime UUID=made {machine.root / 'data'}" in machine.calls
    assert {path.name for path in (machine.root / "data").iterdir()} == {"storage", "snapshots"}


def test_a_volume_with_a_file_system_is_mounted_as_it_is(machine):
    machine.attach(b"some file system" * MIB)
    machine.answer(0, "u-1")
    ran = machine.run()
    assert ran.returncode == 0, ran.stderr
    assert not machine.was_called("mkfs.ext4")
    assert f"mount -t ext4 -o noatime UUID=u-1 {machine.root / 'data'}" in machine.calls


def test_a_file_system_grows_with_its_volume(machine):
    machine.attach()
    machine.answer(0, "u-1")
    machine.run()
    assert f"resize2fs {machine.device}" in machine.calls


@pytest.mark.parametrize("where", [0, 1024, 4 * MIB - 1])
def test_a_volume_that_is_neither_known_nor_empty_is_left_as_it_is(machine, where):
    content = bytearray(5 * MIB)
    content[where] = 1
    machine.attach(bytes(content))
    ran = machine.run()
    assert ran.returncode != 0
    assert f"qdrant's volume {VOLUME}: neither a file system nor empty; left as it is" in ran.stderr
    assert not machine.was_called("mkfs.ext4")
    assert not machine.was_called("mount")


def test_a_volume_that_cannot_be_read_is_left_as_it_is(machine):
    # blkid's code is the same as for an empty one.
    machine.device.mkdir()
    ran = machine.run()
    assert ran.returncode != 0
    assert not machine.was_called("mkfs.ext4")


@pytest.mark.parametrize("code", [1, 4, 8, 127])
def test_an_answer_that_is_not_understood_changes_nothing(machine, code):
    machine.attach()
    machine.answer(code)
    ran = machine.run()
    assert ran.returncode != 0
    assert f"blkid ended with {code}; left as it is" in ran.stderr
    assert not machine.was_called("mkfs.ext4")


def test_a_partition_table_is_no_file_system(machine):
    machine.attach()
    machine.answer(0)
    machine.replace("blkid", "[[ $* != *UUID* ]] || exit 2")
    ran = machine.run()
    assert ran.returncode != 0
    assert "holds no file system; left as it is" in ran.stderr
    assert not machine.was_called("mkfs.ext4")
    assert not machine.was_called("mount")


def test_a_volume_that_never_comes_is_said_in_one_line(machine):
    ran = machine.run(limit_s=1)
    assert ran.returncode != 0
    assert ran.stderr == (
        f"qdrant's volume {VOLUME}: not attached after 1 s; is it in this zone, and free?\n"
    )
    assert not machine.was_called("mkfs.ext4")


def test_a_volume_that_comes_late_is_waited_for(machine):
    machine.replace("sleep", f"head --bytes={5 * MIB} /dev/zero >'{machine.device}'")
    ran = machine.run()
    assert ran.returncode == 0, ran.stderr
    assert machine.was_called("sleep")
    assert machine.was_called("mount")


def test_what_is_mounted_is_left_alone(machine):
    machine.attach()
    machine.replace("mountpoint", "exit 0")
    assert machine.run().returncode == 0
    assert [call.split()[0] for call in machine.calls] == ["mountpoint"]


@pytest.mark.parametrize("command", ["mkfs.ext4", "mount", "resize2fs"])
def test_what_fails_is_a_failure(machine, command):
    machine.attach()
    machine.replace(command, "exit 1")
    ran = machine.run()
    assert ran.returncode != 0
    assert ran.stderr.startswith(f"qdrant's volume {VOLUME}: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.skipif(
    not all(shutil.which(name) for name in ("mkfs.ext4", "blkid", "resize2fs")), reason="needs e2fsprogs"
)
def test_with_the_real_commands_the_second_boot_finds_what_the_first_made(tmp_path):
    machine = Machine(tmp_path)
    for name in ("blkid", "mkfs.ext4", "resize2fs"):
        (tmp_path / "bin" / name).unlink()
    machine.attach(bytes(16 * MIB))
    first = machine.run()
    assert first.returncode == 0, first.stderr
    second = machine.run()
    assert second.returncode == 0, second.stderr
    mounts = [call for call in machine.calls if call.startswith("mount ")]
    # A file system that was made again would have another id.
    assert len(mounts) == 2
    assert mounts[0] == mounts[1]


def test_the_script_is_sound():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_a_machine_waits_for_the_volume_at_every_boot_before_it_joins_the_cluster(self_hosted, tmp_path):
    [host] = self_hosted.of("ec2/instance")
    text = host["userData"]
    assert len(text) < 16 * 1024, "all that EC2 takes"
    for folder in ("opt/twin", "etc/systemd", "etc/ecs"):
        text = text.replace(f"/{folder}", f"{tmp_path}/{folder}")
    (tmp_path / "etc" / "ecs").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    configuration = tmp_path / "etc" / "ecs" / "ecs.config"
    systemctl.write_text(f"#!/bin/bash\n[ ! -e '{configuration}' ] && echo $* >'{tmp_path}/systemctl'\n")
    systemctl.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", text], env=environment, check=True)
    script = tmp_path / "opt" / "twin" / "mount_volume.sh"
    assert script.read_text() == SCRIPT.read_text()
    unit = (tmp_path / "etc/systemd/system/ecs.service.d/volume.conf").read_text().splitlines()
    assert unit[:2] == ["[Service]", f"ExecStartPre=/bin/bash {script} vol-qdrant /var/lib/qdrant"]
    limit_s = int(next(line for line in unit if line.startswith("TimeoutStartSec=")).split("=")[1])
    assert limit_s > 600, "what the script waits"
    assert (tmp_path / "systemctl").read_text() == "daemon-reload\n"
    settings = dict(line.split("=", 1) for line in configuration.read_text().splitlines())
    assert settings["ECS_CLUSTER"] == "twin"
    assert settings["ECS_INSTANCE_ATTRIBUTES"] == '{"twin.role": "qdrant"}'
    assert settings["ECS_AWSVPC_BLOCK_IMDS"] == "true"
    assert settings["ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE"] == "true"


def test_a_machine_on_which_something_failed_joins_no_cluster(self_hosted, tmp_path):
    [host] = self_hosted.of("ec2/instance")
    text = host["userData"]
    for folder in ("opt/twin", "etc/systemd", "etc/ecs"):
        text = text.replace(f"/{folder}", f"{tmp_path}/{folder}")
    (tmp_path / "etc" / "ecs").mkdir(parents=True)
    (tmp_path / "systemctl").write_text("#!/bin/bash\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["bash", "-c", text], env=environment, check=False).returncode != 0
    assert not list((tmp_path / "etc" / "ecs").iterdir())
