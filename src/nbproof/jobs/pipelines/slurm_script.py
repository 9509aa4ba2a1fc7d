"""A pipeline as a shell script of `sbatch` calls: what is below waits, by `afterok`, for what is above."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar

from ..targets.slurm import Slurm
from .exporting import MARK, Step, Steps, dashed
from .slurm import given

_HEAD = """\
#!/bin/bash
# {mark}: the pipeline `{name}` on Slurm.
# Run it where sbatch is; the nodes need this Python and this folder on a file system that they share.
set -euo pipefail
cd {project}
mkdir -p .nbproof/logs/slurm
# A process that is kept warm would outlive its job.
export NBPROOF_WARM=false

jobs=()
# What was queued before something went wrong is taken away again.
trap '[ $? -eq 0 ] || [ ${{#jobs[@]}} -eq 0 ] || scancel "${{jobs[@]}}"' EXIT
submit() {{
    job=$(sbatch --parsable {common} "$@")
    job=${{job%%;*}}
    jobs+=("$job")
}}

"""
_COMMON = ("--kill-on-invalid-dep=yes", "--requeue", "--open-mode=append", "--output=.nbproof/logs/slurm/%x.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Slurm):
    """A script; its options are those of the cluster."""

    suffix: ClassVar[str] = "slurm.sh"
    hint: ClassVar[str] = "bash {file}"
    settings_of: ClassVar[str] = "slurm"

    def spell(self, pipeline: Steps) -> str:
        """The script, a call for each step in their order."""
        chosen = [f"--{name}={value}" for name, value in self.chosen().items() if value is not None]
        head = _HEAD.format(
            mark=MARK,
            name=dashed(pipeline.name),
            project=shlex.quote(str(pipeline.project)),
            common=shlex.join([*_COMMON, *chosen]),
        )
        variables = {step.name: f"job_{number}" for number, step in enumerate(pipeline.steps, 1)}
        calls = [_call(step, pipeline, variables) for step in pipeline.steps]
        return head + "\n".join(calls) + f'\n\necho "{len(calls)} jobs of {dashed(pipeline.name)}: ${{jobs[*]}}"\n'


def _call(step: Step, pipeline: Steps, variables: dict[str, str]) -> str:
    """One call of `sbatch`, and a variable with the number that it answers."""
    name = f"{dashed(pipeline.name)}-{dashed(step.name)}"
    after = "".join(f":${variables[above]}" for above in step.above)
    waits = f' --dependency="afterok{after}"' if after else ""
    command = "exec " + shlex.join([pipeline.python, *step.arguments])
    told = shlex.join([f"--job-name={name}", *given(step.resources)])
    return f"submit {told}{waits} --wrap={shlex.quote(command)}\n{variables[step.name]}=$job"
