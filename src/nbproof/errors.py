"""Every error that nbproof raises on purpose; each knows what to type next.

NbproofError
├── AskedWrongly                    the request cannot be carried out as it stands (exit 2)
│   ├── NotebookInvalid             the file is no notebook that nbproof can run
│   ├── ContractInvalid             the parameters cell does not declare a contract
│   ├── ParameterInvalid            a value does not fit the contract
│   ├── SecretUnavailable           a reference points to no secret
│   ├── CheckpointRefused           a checkpoint could not be restored exactly as it was
│   ├── PipelineInvalid             pipeline.yaml does not describe a DAG of notebooks
│   ├── SettingsInvalid             [tool.nbproof] or NBPROOF_* holds something unknown
│   ├── EntryInvalid                what a notebook logs about itself cannot be recorded
│   ├── DataAbsent                  declared data is not there, or not in the version that is asked for
│   ├── DataUnusable                rows that are to be explained or scored do not fit
│   ├── ModelUnusable               a model that is to be explained or scored is not fitted, or cannot be asked
│   ├── KernelUnusable              the interpreter of a kernel does not run
│   ├── KeyUnusable                 a key file cannot sign, or a line is no key that could have signed
│   ├── ReviewAskedWrongly          a review asks for something that cannot be asked for
│   ├── RequestInvalid              a page asks for something that no door answers
│   ├── UnknownName                 nothing is called that
│   ├── JobInvalid                  a job asks for something that no engine could carry out
│   ├── OutputTaken                 what is to be written would lie where something else lies
│   ├── ScheduleInvalid             a schedule says no time, no policy or no target that there is
│   ├── ExtraMissing                a package that an extra brings is not installed
│   └── Unwritable                  a folder that must be written cannot be
├── WorkFailed                      the work was done and failed (exit 1)
│   ├── TaskFailed                  a notebook raised, died or ran out of time
│   ├── CheckpointFailed            a value at a checkpoint is not what was planned
│   ├── NotAccepted                 a phase does not meet its own conditions
│   ├── NotTidied                   a formatter could not read what the exporter wrote
│   ├── NotWatched                  a notebook's process died, or took too long, while it was watched
│   ├── NotEquivalent               a package and its notebook do not give the same
│   ├── RunFailed                   some tasks of a run failed
│   ├── StorageFailed               the disk would not take what a run must write
│   ├── TrackerUnavailable          the tracker could not be reached; the record waits in the spool
│   ├── MirrorFailed                a run could not be written whole for another tracker
│   ├── JournalDamaged              the record of a run holds a line that cannot be read
│   ├── ChecksFailed                a notebook does not pass the checks before its review
│   ├── ContractBroken              rows do not keep the contract of their data
│   ├── Cancelled                   an explanation was cancelled before its end
│   ├── EngineUnreachable           an engine that jobs run on did not answer
│   │   └── EngineAbsent            this machine has no program that could ask it
│   ├── JobRefused                  an engine would not take a job
│   ├── JobUnfinished               a job has not left what is asked for
│   ├── StreamBroken                a stream cannot be read or written whole
│   ├── EventsDamaged               the events of a watch hold a line that cannot be read
│   ├── WindowAlarms                a window of data or predictions is not like its reference
│   ├── TickFailed                  what a schedule has started did not end well
│   ├── LedgerUnusable              the ledger of schedules cannot be read or written
│   └── ServiceFailed               a service ended or did not become ready
└── Refused                         nbproof will not do this (exit 3)
    ├── Busy                        another build of this pipeline is running
    ├── UpstreamStale               a task alone would read products that are not fresh
    ├── TickRefused                 what a schedule would have started may not run
    ├── ApprovalInvalid             a signed decision is not what somebody trusted has signed
    ├── NotApproved                 nobody who counts has approved what is there now
    ├── ReviewRefused               a review may not go on like this
    ├── LedgerBroken                the ledger of reviews is not what was written
    ├── ExplanationRefused          an explanation would say something wrong
    ├── NotExported                 a notebook cannot become a package that gives the same
    ├── PackageBroken               an exported package is not what was written
    ├── HandEdited                  an exported package was changed by hand, and would lose it
    ├── ModelRefused                a packaged model is not whole, or not what it says
    ├── AnswersEnded                what let a model answer a stream has ended
    ├── WatchTaken                  another process watches already
    ├── RegistryHolds               the model registry does not hold what it says
    ├── PromotionRefused            a version of a model may not become the one that serves
    ├── ModelUnsteady               a model changes its answer between two calls
    ├── PathRefused                 a page asks for a file outside of the server's folder
    ├── RecordUnusable              a tracked run does not hold what is asked of it, or not safely
    ├── ReportRefused               a document lacks a section or says a number without its source
    └── ScoreRefused                scores would be wrong, doubled, or mixed with others
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class NbproofError(Exception):
    """Root of every error raised on purpose: one line of facts, and what to type next."""

    exit_code = 1
    hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class AskedWrongly(NbproofError):
    """The request cannot be carried out as it stands; no kernel was started."""

    exit_code = 2


class NotebookInvalid(AskedWrongly):
    """The file is no notebook that nbproof can run."""

    def __init__(self, notebook: Path, found: str, expected: str, *, hint: str | None = None) -> None:
        self.notebook, self.found, self.expected = notebook, found, expected
        super().__init__(f"`{notebook}`: found {found}, expected {expected}", hint=hint)


class ContractInvalid(NotebookInvalid):
    """The parameters cell does not declare a contract."""


class ParameterInvalid(AskedWrongly):
    """A value does not fit the contract of its notebook."""

    def __init__(self, where: str, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.where, self.problems = where, tuple(problems)
        super().__init__(f"{where}: {'; '.join(self.problems)}", hint=hint)


class SecretUnavailable(AskedWrongly):
    """A reference points to no secret; the secret itself is never shown."""

    def __init__(self, reference: str, reason: str, *, hint: str | None = None) -> None:
        self.reference, self.reason = reference, reason
        super().__init__(f"secret {reference}: {reason}", hint=hint)


class CheckpointRefused(AskedWrongly):
    """A notebook asks for a checkpoint that could not be restored exactly as it was."""

    def __init__(self, notebook: Path, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.notebook, self.problems = notebook, tuple(problems)
        super().__init__(f"`{notebook}` cannot be resumed from its checkpoint: {'; '.join(self.problems)}", hint=hint)


class PipelineInvalid(AskedWrongly):
    """The file does not describe a DAG of notebooks."""

    def __init__(self, pipeline: Path, found: str, expected: str, *, hint: str | None = None) -> None:
        self.pipeline, self.found, self.expected = pipeline, found, expected
        super().__init__(f"`{pipeline}`: found {found}, expected {expected}", hint=hint)


class SettingsInvalid(AskedWrongly):
    """A setting is unknown or has a value of the wrong kind."""

    hint = "see docs/reference/settings.md for every setting"

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: found {found}, expected {expected}")


class EntryInvalid(AskedWrongly):
    """What a notebook logs about itself cannot be recorded."""

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint=hint)


class DataUnusable(AskedWrongly):
    """Rows that are to be explained or scored do not fit the model, the background or the method."""

    hint = "see docs/guides/explaining.md for what can be explained"

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint=hint)


class DataAbsent(AskedWrongly):
    """Declared data is not there, or not in the version that is asked for."""

    hint = "look which data there is"

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint=hint)


class ModelUnusable(AskedWrongly):
    """A model that is to be explained or scored is not fitted, cannot be asked, or does not answer in that way."""

    hint = "see docs/guides/explaining.md for what can be explained"

    def __init__(self, model: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.model, self.found, self.expected = model, found, expected
        super().__init__(f"{model}: found {found}, expected {expected}", hint=hint)


class KernelUnusable(AskedWrongly):
    """The interpreter of a kernel does not run, so nothing is known of its environment."""

    def __init__(self, kernel: str, interpreter: str, reason: str) -> None:
        self.kernel, self.interpreter, self.reason = kernel, interpreter, reason
        super().__init__(
            f"the interpreter `{interpreter}` of kernel `{kernel}` does not run ({reason}); expected a Python",
            hint=f"jupyter kernelspec remove {kernel}",
        )


class KeyUnusable(AskedWrongly):
    """A key file cannot sign, or a line is no key whose signature could be checked."""

    def __init__(self, key: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.key, self.found, self.expected = key, found, expected
        super().__init__(f"key {key}: found {found}, expected {expected}", hint=hint)


class ReviewAskedWrongly(AskedWrongly):
    """A review asks for something that cannot be asked for as it stands."""

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint=hint)


class RequestInvalid(AskedWrongly):
    """A page of JupyterLab asks for something in words that no door understands."""

    def __init__(self, what: str, found: str, expected: str) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint="reload the page: it may be an older one")


class UnknownName(AskedWrongly):
    """Nothing of that kind has this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        shown = ", ".join(self.known) or "none"
        super().__init__(f"no {kind} is called `{name}`; known: {shown}", hint=hint)


class JobInvalid(AskedWrongly):
    """A job asks for something that no engine could carry out."""

    hint = "nbproof submit --help"

    def __init__(self, job: str, problems: Iterable[str]) -> None:
        self.job, self.problems = job, tuple(problems)
        super().__init__(f"the job `{job}`: found {'; '.join(self.problems)}")


class OutputTaken(AskedWrongly):
    """What is to be written would lie where something else lies already."""

    def __init__(self, output: Path, found: str, expected: str, *, hint: str) -> None:
        self.output, self.found, self.expected = output, found, expected
        super().__init__(f"`{output}`: found {found}, expected {expected}", hint=hint)


class ScheduleInvalid(AskedWrongly):
    """A schedule says no time, no policy or no target that there is."""

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}, expected {expected}", hint=hint or "nbproof schedule add --help")


class ExtraMissing(AskedWrongly):
    """A package that an extra brings is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"`{package}` is not installed; the extra `{extra}` brings it",
            hint=f"pip install 'nbproof[{extra}]'",
        )


class Unwritable(AskedWrongly):
    """A folder that must be written cannot be."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"cannot write in `{path}`: {reason}; expected a writable folder",
            hint=f"chmod u+w {path}",
        )


class WorkFailed(NbproofError):
    """The work was started and did not succeed."""


class TaskFailed(WorkFailed):
    """A notebook raised, its kernel died, or its time ran out."""

    def __init__(self, task: str, reason: str, *, log: Path | None = None) -> None:
        self.task, self.reason, self.log = task, reason, log
        super().__init__(f"{task}: {reason}", hint=f"open {log}" if log else None)


class CheckpointFailed(WorkFailed):
    """What is there when a checkpoint is reached is not what was planned, or cannot be kept exactly."""

    hint = "see docs/concepts/checkpoints.md for what a checkpoint can hold"

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(f"its checkpoint cannot be stored: {found}")


class NotAccepted(WorkFailed):
    """A phase does not meet the conditions that it set itself."""

    def __init__(self, failed: Iterable[str], checked: int) -> None:
        self.failed, self.checked = tuple(failed), checked
        told = "; ".join(self.failed) or "nothing was checked"
        super().__init__(f"{len(self.failed)} of {checked} checks failed: {told}")


class NotTidied(WorkFailed):
    """A formatter could not read what the exporter wrote: a defect of nbproof."""

    hint = "please report it, with the notebook"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the package could not be formatted: {reason}")


class NotWatched(WorkFailed):
    """A notebook could not be watched to its end."""

    hint = "run it once from top to bottom: nbproof run NOTEBOOK"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the notebook could not be watched: {reason}")


class NotEquivalent(WorkFailed):
    """A package and its notebook, run side by side, do not give the same."""

    def __init__(self, package: Path, found: Iterable[str]) -> None:
        self.package, self.found = package, tuple(found)
        super().__init__(
            f"`{package}` does not give what its notebook gives: {'; '.join(self.found)}; expected the same",
            hint="compare the environment with requirements.lock, then export again: nbproof export NOTEBOOK",
        )


class RunFailed(WorkFailed):
    """Some tasks of a run failed; those that depend on them were not started."""

    def __init__(self, failed: Iterable[str], blocked: Iterable[str]) -> None:
        self.failed, self.blocked = tuple(failed), tuple(blocked)
        also = f"; not started: {', '.join(self.blocked)}" if self.blocked else ""
        super().__init__(f"failed: {', '.join(self.failed)}{also}", hint="nbproof runs show")


class StorageFailed(WorkFailed):
    """The disk would not take what a run must write down about itself; what was published before is whole."""

    hint = "make room on the disk, then run again: what is done stays done"

    def __init__(self, file: str | None, reason: str) -> None:
        self.file, self.reason = file, reason
        where = f"`{file}` could not be written" if file else "a file of the run could not be written"
        super().__init__(f"{where}: {reason}; expected room for it")


class TrackerUnavailable(WorkFailed):
    """The tracker could not be reached; the record waits in the spool."""

    hint = "nbproof runs sync"

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        self.reason = reason
        super().__init__(f"the tracker cannot be reached: {reason}; expected an answer", hint=hint)


class MirrorFailed(WorkFailed):
    """A run could not be written whole for another tracker; nothing of it is in its place."""

    hint = "make room on the disk, then tell it again: nbproof runs mirror --to wandb"

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"`{place}` could not be written: {reason}; expected a run that is whole")


class JournalDamaged(WorkFailed):
    """The record of a run holds a line that cannot be read; other runs are not touched by it."""

    def __init__(self, journal: Path, line: int, found: str) -> None:
        self.journal, self.line, self.found = journal, line, found
        super().__init__(
            f"`{journal}`: line {line} is {found}, expected the record of one event",
            hint=f"move the file away: mv {journal} {journal}.damaged",
        )


class ChecksFailed(WorkFailed):
    """A notebook does not pass the checks before its review."""

    def __init__(self, notebook: str, failed: Iterable[str]) -> None:
        self.notebook, self.failed = notebook, tuple(failed)
        super().__init__(
            f"`{notebook}`: {len(self.failed)} checks failed ({', '.join(self.failed)}); expected none",
            hint=f"nbproof review check {notebook}",
        )


class ContractBroken(WorkFailed):
    """Rows do not keep the contract of their data."""

    hint = "mend the data, or, if it is right, the contract"

    def __init__(self, table: str, count: int, contract: str) -> None:
        self.table, self.count, self.contract = table, count, contract
        super().__init__(f"`{table}`: found {count} lines of `{contract}` broken, expected none")


class Cancelled(WorkFailed):
    """An explanation was cancelled; nothing of it is kept."""

    hint = "explain fewer rows, or a part of them at a time"

    def __init__(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        super().__init__(f"cancelled after {done} of {total} rows; expected to explain them all")


class EngineUnreachable(WorkFailed):
    """An engine that jobs run on did not answer; what is known of its jobs is kept."""

    def __init__(self, target: str, found: str, *, hint: str) -> None:
        self.target, self.found = target, found
        super().__init__(f"{target} did not answer: {found}", hint=hint)


class EngineAbsent(EngineUnreachable):
    """What an engine is asked with is not on this machine, or knows of none; nothing was handed over."""

    def __init__(self, target: str, found: str, *, hint: str) -> None:
        WorkFailed.__init__(self, f"{target}: {found}; expected an engine to hand jobs to", hint=hint)
        self.target, self.found = target, found


class JobRefused(WorkFailed):
    """An engine would not take a job."""

    hint = "ask for less, or for another partition; the engine's own words are above"

    def __init__(self, target: str, words: str, *, hint: str | None = None) -> None:
        self.target, self.words = target, words
        super().__init__(f"{target} would not take the job: {words}", hint=hint)


class GpuDiffers(WorkFailed):
    """A run on a GPU did something that would have come out otherwise on the processor, where it was proven."""

    hint = "copy where a copy is meant: array.copy(), tensor.clone(); or run on the processor: NBPROOF_DEVICE=cpu"

    def __init__(self, found: str) -> None:
        super().__init__(f"found that {found}; expected the GPU to give what the processor gives")


class JobUnfinished(WorkFailed):
    """A job has not, or not yet, left what is asked for."""

    def __init__(self, job: str, found: str) -> None:
        self.job = job
        super().__init__(f"the job {job} {found}; expected results that are whole", hint=f"nbproof jobs logs {job}")


class StreamBroken(WorkFailed):
    """A stream cannot be read or written, or not whole; what was read before is kept."""

    hint = "nbproof monitor collect --help"

    def __init__(self, where: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: found {found}; expected {expected}", hint=hint)


class EventsDamaged(WorkFailed):
    """The events of a watch hold a line that cannot be read, so nobody knows what was told already."""

    def __init__(self, file: Path, line: int, found: str) -> None:
        self.file, self.line, self.found = file, line, found
        super().__init__(
            f"`{file}`: line {line} is no event ({found}); expected one as JSON",
            hint=f"move the file away, and every window is looked at again: mv {file} {file}.damaged",
        )


class WindowAlarms(WorkFailed):
    """A window of data or predictions is not like its reference: what is amber or red."""

    hint = "look at the reasons above; nbproof monitor check --all shows what is green, too"

    def __init__(self, window: str, alarms: Iterable[str]) -> None:
        self.window, self.alarms = window, tuple(alarms)
        told = ", ".join(self.alarms[:8]) + (f" and {len(self.alarms) - 8} more" if len(self.alarms) > 8 else "")
        super().__init__(f"`{window}` alarms: {told}; expected all to be as in the reference")


class TickFailed(WorkFailed):
    """What a schedule has started did not end well."""

    def __init__(self, schedule: str, tick: str, state: str, reason: str) -> None:
        self.schedule, self.tick, self.state, self.reason = schedule, tick, state, reason
        super().__init__(f"{schedule} at {tick}: {state}: {reason}", hint=f"nbproof schedule show {schedule}")


class LedgerUnusable(WorkFailed):
    """The ledger of schedules cannot be read or written; no tick is started that it does not hold."""

    def __init__(self, ledger: Path, reason: str) -> None:
        self.ledger, self.reason = ledger, reason
        super().__init__(
            f"`{ledger}`: {reason}; expected a ledger that can be read and written",
            hint=f"make room and check the rights: ls -l {ledger}",
        )


class ServiceFailed(WorkFailed):
    """A service ended or did not become ready; `said` is the last line of its log."""

    def __init__(self, reason: str, said: str) -> None:
        self.reason, self.said = reason, said
        super().__init__(f"the service did not start: {reason}; its last words: {said}")


class Refused(NbproofError):
    """nbproof will not do this, and says why."""

    exit_code = 3


class Busy(Refused):
    """Another build of this pipeline is running."""

    def __init__(self, pipeline: str, holder: str, *, hint: str | None = None) -> None:
        self.pipeline, self.holder = pipeline, holder
        super().__init__(
            f"`{pipeline}` is being built by {holder}; expected no other build",
            hint=hint or "wait for it, or run again with --wait",
        )


class UpstreamStale(Refused):
    """A task that is run alone would read products that are not fresh; `stale` says of each task why."""

    def __init__(self, task: str, stale: dict[str, str]) -> None:
        self.task, self.stale = task, stale
        told = "; ".join(f"{name}: {reason}" for name, reason in stale.items())
        super().__init__(
            f"`{task}` would read products that are not fresh ({told}); expected fresh ones",
            hint=f"run what comes before it, too: nbproof run --task {task}",
        )


class TickRefused(Refused):
    """What a schedule would have started may not run as it is now."""

    def __init__(self, schedule: str, tick: str, reason: str) -> None:
        self.schedule, self.tick, self.reason = schedule, tick, reason
        super().__init__(f"{schedule} at {tick}: {reason}", hint=f"nbproof schedule show {schedule}")


class ApprovalInvalid(Refused):
    """A signed decision is not what somebody trusted has signed, byte for byte."""

    hint = "nbproof review log shows every decision; ask for a new one: nbproof review request NOTEBOOK"

    def __init__(self, where: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where}: found {found}; expected {expected}", hint=hint)


class NotApproved(Refused):
    """Nobody who counts has approved what is there now."""

    def __init__(self, notebook: str, found: str, *, hint: str | None = None) -> None:
        self.notebook, self.found = notebook, found
        super().__init__(
            f"`{notebook}`: {found}; expected an approval of what is there now",
            hint=hint or f"nbproof review request {notebook}",
        )


class ReviewRefused(Refused):
    """A review may not go on like this: the policy, or what was asked for, stands against it."""

    def __init__(self, what: str, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.what, self.problems = what, tuple(problems)
        super().__init__(f"{what}: {'; '.join(self.problems)}", hint=hint)


class LedgerBroken(Refused):
    """The ledger of reviews is not what was written: the first line that shows it."""

    def __init__(self, ledger: str, line: int, found: str, expected: str) -> None:
        self.ledger, self.line, self.found, self.expected = ledger, line, found, expected
        super().__init__(
            f"`{ledger}`: line {line}: found {found}; expected {expected}",
            hint=f"compare with what was committed: git log -p -- {ledger}",
        )


class ExplanationRefused(Refused):
    """An explanation would be shown as right that is not, or cannot be known to be."""

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}; expected {expected}", hint=hint)


class ModelUnsteady(Refused):
    """A model, asked twice about the same rows, gave two answers: there is nothing to explain."""

    hint = "model.eval() for a torch module; a fixed seed for a function that draws"

    def __init__(self, model: str, apart: float) -> None:
        self.model, self.apart = model, apart
        super().__init__(
            f"{model}: found answers that differ by {apart:.3g} between two calls; expected the same twice"
        )


class NotExported(Refused):
    """A notebook cannot become a package that is proven to give the same: every reason, each with what would help."""

    hint = "change the cells that are named, and export again"

    def __init__(self, notebook: Path, reasons: Iterable[str]) -> None:
        self.notebook, self.reasons = notebook, tuple(reasons)
        # One line each: whoever mends a notebook goes from cell to cell.
        told = self.reasons[0] if len(self.reasons) == 1 else "".join(f"\n  {reason}" for reason in self.reasons)
        super().__init__(f"`{notebook}` was not exported: {told}")


class PackageBroken(Refused):
    """An exported package is not what was written, file by file."""

    hint = "export it again: nbproof export NOTEBOOK"

    def __init__(self, package: Path, problems: Iterable[str]) -> None:
        self.package, self.problems = package, tuple(problems)
        super().__init__(f"`{package}` is not what was exported: {'; '.join(self.problems)}")


class HandEdited(Refused):
    """An exported package was changed by hand outside of the places that are kept; `diff` is what would be lost."""

    hint = "put what shall stay between `# nbproof: keep` and `# nbproof: end`, or export to another folder: --out DIR"

    def __init__(self, package: Path, problems: Iterable[str], diff: str) -> None:
        self.package, self.problems, self.diff = package, tuple(problems), diff
        told = f"`{package}` was changed by hand, and would lose it: {'; '.join(self.problems)}"
        super().__init__(f"{told}\n{diff}" if diff else told)


class ModelRefused(Refused):
    """A packaged model is not whole, or not what its manifest says."""

    hint = "package the model again: run the phases 07_registration and 08_serving"

    def __init__(self, folder: Path, found: str, expected: str) -> None:
        self.folder, self.found, self.expected = folder, found, expected
        super().__init__(f"`{folder}`: found {found}; expected {expected}")


class AnswersEnded(Refused):
    """What let a model answer a stream has ended; what was not answered stays where it is, and is read again."""

    hint = "nbproof review log shows every decision; started again, it goes on after the last answer"

    def __init__(self, model: str, found: str) -> None:
        self.model, self.found = model, found
        super().__init__(f"`{model}` answers no more: found {found}; expected an approval of what was loaded")


class WatchTaken(Refused):
    """Another process watches with the same state: events would be raised twice."""

    hint = "end it, or give this one a name of its own: --name NAME"

    def __init__(self, state: Path) -> None:
        self.state = state
        super().__init__(f"`{state}` is used by another watcher; expected none")


class RegistryHolds(Refused):
    """The model registry does not hold what its own tags say."""

    hint = "register the model again: nbproof run"

    def __init__(self, entry: str, found: str, expected: str) -> None:
        self.entry, self.found, self.expected = entry, found, expected
        super().__init__(f"{entry} in the registry: found {found}; expected {expected}")


class PromotionRefused(Refused):
    """A version of a model may not become the one that serves, or cannot."""

    hint = "nbproof models list"

    def __init__(self, entry: str, found: str, expected: str) -> None:
        self.entry, self.found, self.expected = entry, found, expected
        super().__init__(f"{entry}: {found}; expected {expected}")


class PathRefused(Refused):
    """A page asks for a file outside of the folder that the server shows."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(
            f"`{path[:200]}` lies outside of the folder that the server shows", hint="start the server further up"
        )


class RecordUnusable(Refused):
    """A tracked run does not hold what is asked of it, or holds it in a way that cannot be trusted."""

    def __init__(self, run: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.run, self.found, self.expected = run, found, expected
        super().__init__(f"run {run}: found {found}; expected {expected}", hint=hint)


class ReportRefused(Refused):
    """A document lacks a section, or says a number without its source."""

    def __init__(self, document: str, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.document, self.problems = document, tuple(problems)
        super().__init__(f"{document}: {'; '.join(self.problems)}", hint=hint)


class ScoreRefused(Refused):
    """Scores would be wrong, lost, doubled, or mixed with others; nothing of them is shown."""

    hint = "see docs/guides/scoring.md"

    def __init__(self, what: str, found: str, expected: str, *, hint: str | None = None) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what}: found {found}; expected {expected}", hint=hint)
