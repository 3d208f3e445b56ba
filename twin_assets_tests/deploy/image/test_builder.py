"""The builder of the image's tree, on Dockerfiles of a few lines; nothing is mounted here."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.image.build import Build
from scripts.image.context import Context
from scripts.image.dockerfile import Instruction, read_dockerfile
from scripts.image.errors import ImageError
from scripts.image.host import borrowed_environment
from scripts.image.isolation import hosts_of
from scripts.image.stages import CONFIGURE, State
from scripts.image.steps import Steps
from scripts.image.variables import pairs, substitute
from twin_assets_tests.deploy.files import ROOT


def written(folder: Path, text: str) -> Path:
    path = folder / "Dockerfile"
    path.write_text(text)
    return path


def configured(*instructions: Instruction, **given: str) -> State:
    state = State([], given)
    for instruction in instructions:
        CONFIGURE[instruction.name](state, instruction)
    return state


def build_of(folder: Path, text: str, **given: str) -> Build:
    written(folder, text)
    (folder / ".dockerignore").write_text("")
    return Build(folder, Steps(folder, Context(folder)), given)


def test_the_projects_dockerfile_is_understood() -> None:
    found = read_dockerfile(ROOT / "Dockerfile")
    assert found.stages[-1].name == "runtime"
    assert {each.name for stage in found.stages for each in stage.instructions} >= {"RUN", "COPY", "USER"}


def test_continued_lines_are_joined_around_comments(tmp_path: Path) -> None:
    text = "FROM a AS b\nRUN --mount=type=cache,target=/c \\\n    one \\\n# said in between\n    && two\n"
    [stage] = read_dockerfile(written(tmp_path, text)).stages
    [instruction] = stage.instructions
    assert instruction.text == "one && two"
    assert instruction.flag("mount") == "type=cache,target=/c"


@pytest.mark.parametrize("line", ["ADD a b", "ONBUILD RUN a", "VOLUME /a", "RUN <<END", "SHELL ['a']"])
def test_what_is_not_known_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    with pytest.raises(ImageError, match=line.split(maxsplit=1)[0]):
        read_dockerfile(written(tmp_path, f"FROM a\n{line}\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN --mount=type=secret,id=a true", "secret"),
        ("RUN --network=none true", "network"),
        ("COPY --from=nowhere a b", "nowhere"),
        ("COPY --chown=1:1 a b", "chown"),
        ("USER twin", "twin"),
    ],
)
def test_a_flag_that_is_not_known_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    build = build_of(tmp_path, f"FROM python:3.11-slim-bookworm\n{line}\n")
    monkeypatch.setattr(Steps, "begin", lambda self: None)
    with pytest.raises(ImageError, match=message):
        build.final()


def test_another_base_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="alpine"):
        build_of(tmp_path, "FROM alpine\n").final()


def test_a_build_argument_that_nothing_asks_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="PROFLIE"):
        build_of(tmp_path, "ARG PROFILE\nFROM a\n", PROFLIE="full").final()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$A/b", "1/b"), ("${A}b", "1b"), ("${B:-2}", "2"), ("${A:+3}", "3"), ("${B}$C", "")],
)
def test_variables_are_put_in_as_docker_does(text: str, expected: str) -> None:
    assert substitute(text, {"A": "1"}) == expected


def test_several_variables_in_one_line_do_not_see_each_other() -> None:
    assert pairs('A=1 B="2 3" C=$A', {"A": "0"}) == {"A": "1", "B": "2 3", "C": "0"}


def test_a_build_argument_goes_before_the_default_and_env_before_both() -> None:
    asked = (Instruction("ARG", "A=default"), Instruction("ARG", "B=default"), Instruction("ARG", "C"))
    state = configured(*asked, Instruction("ENV", "B=env"), A="given")
    assert state.variables == {"A": "given", "B": "env"}


def test_a_health_check_keeps_its_options_apart_from_its_command(tmp_path: Path) -> None:
    text = 'FROM a\nHEALTHCHECK --interval=15s --retries=4 CMD ["ask", "--port", "1"]\n'
    [stage] = read_dockerfile(written(tmp_path, text)).stages
    health = configured(*stage.instructions).health
    assert health is not None
    assert (health.command, health.options) == (["ask", "--port", "1"], {"interval": "15s", "retries": "4"})


def test_the_context_is_what_dockerignore_lets_through(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("*\n!package/\n**/.env\n")
    for name in ("package/inner/code.py", "package/inner/.env", "other/code.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    context = Context(tmp_path)
    assert [path.name for path in context.files("package")] == ["code.py"]
    with pytest.raises(ImageError, match="other"):
        context.files("other")


def test_a_digest_tells_of_content_and_mode_and_not_of_time(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("")
    file = tmp_path / "a"
    file.write_text("x")
    digests = [Context(tmp_path).digest("a")]
    for change in (file.touch, lambda: file.write_text("y"), lambda: file.chmod(0o755)):
        change()
        digests.append(Context(tmp_path).digest("a"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_only_the_way_to_packages_is_borrowed_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "a")
    monkeypatch.setenv("SSL_CERT_FILE", "b")
    monkeypatch.setenv("https_proxy", "c")
    monkeypatch.setenv("TWIN_QDRANT_API_KEY", "d")
    found = borrowed_environment()
    assert found.keys() >= {"PIP_INDEX_URL", "SSL_CERT_FILE", "https_proxy"}
    assert not found.keys() & {"TWIN_QDRANT_API_KEY", "PATH", "HOME"}


def test_every_service_of_compose_has_an_address_of_its_own() -> None:
    lines = dict(line.split()[::-1] for line in hosts_of(ROOT / "docker-compose.yaml").splitlines())
    assert lines.keys() >= {"mongo", "rabbitmq", "qdrant", "postgres", "code", "webserver", "daemon"}
    assert len(set(lines.values())) == len(lines)
