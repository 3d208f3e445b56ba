"""The build: stage after stage, each instruction that writes files one layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.image import base
from scripts.image.context import Context
from scripts.image.dockerfile import Instruction, Stage, read_dockerfile
from scripts.image.errors import ImageError
from scripts.image.layers import Layer
from scripts.image.record import Image, LayerRecord
from scripts.image.stages import CONFIGURE, State, set_argument
from scripts.image.steps import Steps
from scripts.image.variables import substitute


def build_image(folder: Path, root: Path, given: Mapping[str, str]) -> Image:
    """Build the last stage of a folder's Dockerfile; layers that are there are kept, others are deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(folder.absolute(), Context(root))
    state = Build(root, steps, given).final()
    steps.store.forget_unused()
    image = record(folder.absolute(), state)
    image.save()
    return image


class Build:
    """One run over a Dockerfile; `given` are the build arguments."""

    def __init__(self, root: Path, steps: Steps, given: Mapping[str, str]) -> None:
        self._dockerfile = read_dockerfile(root / "Dockerfile")
        self._steps = steps
        self._given = dict(given)
        self._stages: dict[str, State] = {}

    def final(self) -> State:
        """Carry out every stage. Raises ImageError for a build argument that no ARG asks for."""
        self._require_known_arguments()
        for stage in self._dockerfile.stages:
            self._stages[stage.name] = self._build_stage(stage)
        return self._stages[self._dockerfile.stages[-1].name]

    def _require_known_arguments(self) -> None:
        stages = self._dockerfile.stages
        asked = [each.text for stage in stages for each in stage.instructions if each.name == "ARG"]
        names = {text.partition("=")[0] for text in (*asked, *self._dockerfile.arguments)}
        if unknown := self._given.keys() - names:
            raise ImageError(f"the Dockerfile has no ARG for {', '.join(sorted(unknown))}")

    def _arguments(self) -> dict[str, str]:
        """Return build arguments, and the defaults that stand before the first FROM."""
        state = State([], self._given)
        for text in self._dockerfile.arguments:
            set_argument(state, Instruction("ARG", text))
        return state.arguments | self._given

    def _build_stage(self, stage: Stage) -> State:
        state = self._begin(stage)
        for instruction in stage.instructions:
            if configure := CONFIGURE.get(instruction.name):
                configure(state, instruction)
            else:
                state.layers.append(self._make_layer(state, instruction))
                state.steps.append(str(instruction))
        return state

    def _begin(self, stage: Stage) -> State:
        given = self._arguments()
        name = substitute(stage.base, given)
        if name in self._stages:
            return self._stages[name].child(given)
        # A digest pins the real base image, which is not there.
        if name.partition("@")[0] != base.STANDS_FOR:
            raise ImageError(f"FROM {name}: this builder has a stand-in for {base.STANDS_FOR} alone")
        return State([self._steps.begin()], given, [base.MADE_OF], environment=base.ENVIRONMENT.copy())

    def _make_layer(self, state: State, instruction: Instruction) -> Layer:
        if instruction.name == "RUN":
            return self._steps.run(state, instruction)
        if instruction.name == "WORKDIR":
            return self._steps.go(state, instruction)
        if unknown := {name for name, _ in instruction.flags} - {"from"}:
            raise ImageError(f"COPY --{unknown.pop()}=…: not known to this builder")
        stage = instruction.flag("from")
        if stage is not None and stage not in self._stages:
            raise ImageError(f"COPY --from={stage}: no stage before this one has that name")
        return self._steps.copy(state, instruction, self._stages[stage].layers if stage else None)


def record(folder: Path, state: State) -> Image:
    """Return what image.json says."""
    layers = [
        LayerRecord(layer.key, step, layer.bytes, layer.compressed_bytes, layer.seconds)
        for layer, step in zip(state.layers, state.steps, strict=True)
    ]
    return Image(
        folder=folder,
        environment=state.environment,
        user=state.user,
        workdir=state.workdir,
        command=state.command,
        health=state.health,
        stop_signal=state.stop_signal,
        ports=state.ports,
        labels=state.labels,
        layers=layers,
    )
