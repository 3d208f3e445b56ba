"""The instructions that write files: each becomes one layer, made only where it is not there yet."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from scripts.image import base
from scripts.image.context import Context
from scripts.image.dockerfile import Instruction
from scripts.image.errors import ImageError
from scripts.image.host import borrowed_environment, borrowed_files
from scripts.image.inside import CopyPlan, Plan, RunPlan, carry_out
from scripts.image.layers import Layer, LayerStore, paths_of
from scripts.image.mounts import Bind, Overlay
from scripts.image.stages import State, command_of
from scripts.image.variables import substitute


class Steps:
    """Carries out RUN, COPY and WORKDIR; `folder` takes layers, caches and the log of all output."""

    def __init__(self, folder: Path, context: Context) -> None:
        self.store = LayerStore(folder / "layers")
        self._context = context
        self._cache = folder / "cache"
        self._log = folder / "build.log"
        self._log.write_text("")

    def begin(self) -> Layer:
        """Return the layer that stands for the base image."""

        def make(overlay: Overlay) -> None:
            print(f"image: {base.MADE_OF}", flush=True)
            base.make_base(overlay, self._cache, self._log)

        return self.store.obtain([base.MADE_OF, *base.PACKAGES, base.INSTALL_PIP], [], make)

    def run(self, state: State, instruction: Instruction) -> Layer:
        caches = [self._cache_mount(name, value) for name, value in instruction.flags]
        made_of = [str(instruction), json.dumps(state.variables, sort_keys=True), state.workdir, state.user]
        is_exec_form = instruction.text.startswith("[")
        command = command_of(instruction.text) if is_exec_form else ["/bin/sh", "-c", instruction.text]

        def make(overlay: Overlay) -> None:
            environment = {"HOME": "/root"} | borrowed_environment() | state.variables
            binds = [*caches, *borrowed_files()]
            plan = RunPlan(overlay, binds, command, environment, state.workdir, state.user)
            self._carry_out(plan, instruction)

        return self.store.obtain(made_of, state.layers, make)

    def copy(self, state: State, instruction: Instruction, source_layers: list[Layer] | None) -> Layer:
        """Copy from the context, or from the stage whose layers are given."""
        *sources, target = substitute(instruction.text, state.variables).split()
        is_folder = target.endswith("/") or len(sources) > 1
        place = state.path(target)
        if source_layers is not None:
            digests = [layer.key for layer in source_layers]
        else:
            digests = [self._context.digest(source) for source in sources]

        def make(overlay: Overlay) -> None:
            if source_layers is not None:
                plan = CopyPlan(overlay, sources, place, is_folder, paths_of(source_layers))
                self._carry_out(plan, instruction)
                return
            with tempfile.TemporaryDirectory() as folder:
                staged = [str(self._context.stage(source, Path(folder))) for source in sources]
                self._carry_out(CopyPlan(overlay, staged, place, is_folder), instruction)

        made_of = [str(instruction), state.workdir, *digests]
        return self.store.obtain(made_of, state.layers, make)

    def go(self, state: State, instruction: Instruction) -> Layer:
        state.workdir = state.path(substitute(instruction.text, state.variables))

        def make(overlay: Overlay) -> None:
            self._carry_out(CopyPlan(overlay, [], state.workdir, is_folder=True), instruction)

        return self.store.obtain([str(instruction), state.workdir], state.layers, make)

    def _carry_out(self, plan: Plan, instruction: Instruction) -> None:
        print(f"image: {instruction}", flush=True)
        if code := carry_out(plan, self._log):
            said = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise ImageError(f"{instruction.name} failed with exit code {code}: {said} (log: {self._log})")

    def _cache_mount(self, flag: str, text: str) -> Bind:
        """Return the folder, no part of the tree, that stands for `--mount=type=cache,target=…`."""
        options = dict(part.partition("=")[::2] for part in text.split(","))
        if flag != "mount" or options.get("type") != "cache" or "target" not in options:
            raise ImageError(f"RUN --{flag}={text}: this builder knows cache mounts alone")
        folder = self._cache / options["target"].strip("/").replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return Bind(str(folder), options["target"], read_only=False)
