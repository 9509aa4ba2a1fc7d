"""A pipeline as a flow for Prefect 3: a task for each notebook, which is a process of nbproof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import JobRefused, SettingsInvalid
from .airflow import own_environment
from .exporting import MARK, Step, Steps, identifiers

_TEMPLATE = '''\
"""{mark}: the pipeline {name} as a flow of Prefect 3.

Whoever runs it needs this Python and this folder. nbproof itself tries again what fails and ends what runs too long.
"""

import os
import subprocess

from prefect import flow, task

PROJECT = {project!r}
ENVIRONMENT = {environment!r}


@task(retries=0, log_prints=True, persist_result=False)
def notebook(command):
    process = subprocess.Popen(
        command, cwd=PROJECT, env={{**os.environ, **ENVIRONMENT}}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    try:
        for line in process.stdout:
            print(line.rstrip())
        code = process.wait()
    finally:
        # A flow that is cancelled leaves no notebook behind.
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code:
        raise RuntimeError(f"nbproof ended with {{code}}")


@flow(name={flow!r}, retries=0)
def pipeline():
{tasks}
    for each in ({futures},):
        each.wait()
    for each in ({futures},):
        each.result()


if __name__ == "__main__":
    {main}
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A Python file with one flow.

    `flow` is its name in Prefect and `schedule` a line of cron (left out: it runs when the file does). `gpu_tag` is a
    tag whose concurrency limit is the number of GPUs: Prefect itself counts none.
    """

    suffix: ClassVar[str] = "prefect.py"
    hint: ClassVar[str] = "with Prefect's Python: python {file}"
    settings_of: ClassVar[str] = "prefect"
    flow: str | None = None
    schedule: str | None = None
    gpu_tag: str | None = None

    def spell(self, pipeline: Steps) -> str:
        """The whole file."""
        flow = self.flow or pipeline.name
        if "/" in flow or "%" in flow:
            raise SettingsInvalid("`flow` of the export to prefect", repr(flow), "a name without / and %")
        names = identifiers([step.name for step in pipeline.steps], lambda name: name)
        variables = {step.name: f"task_{number}" for number, step in enumerate(pipeline.steps, 1)}
        if not variables:
            raise JobRefused("prefect", "the pipeline has no task", hint="nbproof status")
        tasks = [self._task(step, pipeline, variables, names[step.name]) for step in pipeline.steps]
        served = f"pipeline.serve(name={flow!r}, cron={self.schedule!r}, limit=1)"
        return _TEMPLATE.format(
            mark=MARK,
            name=_quoted(pipeline.name),
            project=str(pipeline.project),
            environment=own_environment(),
            flow=flow,
            tasks="\n".join(tasks),
            futures=", ".join(variables.values()),
            main=served if self.schedule else "pipeline()",
        )

    def _task(self, step: Step, pipeline: Steps, variables: dict[str, str], name: str) -> str:
        gpus = step.resources.gpus
        if gpus > 1 or (gpus and self.gpu_tag is None):
            raise JobRefused(
                "prefect", f"`{step.name}` asks for {gpus} GPUs, and Prefect counts at most one a task, by a tag",
                hint="-o gpu_tag=NAME: a tag whose concurrency limit is the number of GPUs",
            )  # fmt: skip
        options = f"name={name!r}" + (f", tags=[{self.gpu_tag!r}]" if gpus else "")
        above = ", ".join(variables[each] for each in step.above)
        command = [pipeline.python, *step.arguments]
        return (
            f"    {variables[step.name]} = notebook.with_options({options}).submit(\n"
            f"        {command!r},\n"
            f"        wait_for=[{above}],\n"
            "    )"
        )


def _quoted(name: str) -> str:
    """A name that stands in a docstring."""
    return name.replace("\\", "/").replace('"', "'")
