"""Steps of the package, in a whole run or one by one: what they take, give, show, draw, print and write."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
import io
import itertools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .state import stamps, within, written
from .values import Describer, Rebuilder

MOST_YIELDED = 200
NOT_CALLED = "it could not be called with what was recorded"


class Package:
    """The package under test: its steps by name, and where a run collects its results."""

    def __init__(self, name: str, libraries: tuple[str, ...], gives: Mapping[str, Sequence[str]]) -> None:
        self.name, self.libraries, self.gives = name, libraries, gives
        # What comes bit by bit is gone through only where nobody else waits for it.
        self.is_alone = False
        self.entrance: Any = importlib.import_module(name)
        self.results: Any = importlib.import_module(f"{name}._results")

    def knows(self, module: str) -> bool:
        """Whether values may be made of what a module defines: the package's own, and the libraries it uses."""
        root = module.partition(".")[0]
        return root == self.name or root in (*self.libraries, "builtins", "collections", "copyreg", "datetime",
                                             "functools", "pathlib", "random", "types", "operator", "zoneinfo",
                                             "decimal", "fractions", "uuid")  # fmt: skip

    def place(self, step: str) -> tuple[Any, str]:
        """Find the module that a step is in, and its name there: `module:name`."""
        module, _, name = step.rpartition(":")
        return importlib.import_module(f"{self.name}.{module}"), name

    def run(self, here: Path, steps: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Run as a whole; tell what each step did, and under `results` what was left."""
        found: dict[str, Any] = {}
        with within(here, self.libraries), contextlib.ExitStack() as stack:
            for step in steps:
                tell = functools.partial(found.setdefault, step)
                stack.enter_context(self.heard(step, tell, here))
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    found["results"] = Describer(str(here)).of(dict(self.entrance.run(**parameters)))
                except Exception as error:
                    found["results"] = {"raises": Describer(str(here)).text(f"{type(error).__name__}: {error}")}
        return found

    @contextlib.contextmanager
    def heard(
        self, step: str, tell: Callable[[Any], Any], here: Path, take: Callable[[Mapping[str, Any]], bool] | None = None
    ) -> Iterator[None]:
        """While the block runs, calls of a step are told; only those that `take` says yes to, if it is given."""
        module, name = self.place(step)
        function = getattr(module, name)

        signature = inspect.signature(function)

        @functools.wraps(function)
        def heard(*given: Any, **named: Any) -> Any:
            takes = signature.bind(*given, **named).arguments
            if take is not None and not take(takes):
                return function(*given, **named)
            with self._told(step, takes, here, tell) as told:
                told["gives"] = function(*given, **named)
            return told["gives"]

        @functools.wraps(function)
        async def heard_later(*given: Any, **named: Any) -> Any:
            takes = signature.bind(*given, **named).arguments
            if take is not None and not take(takes):
                return await function(*given, **named)
            with self._told(step, takes, here, tell) as told:
                told["gives"] = await function(*given, **named)
            return told["gives"]

        setattr(module, name, heard_later if inspect.iscoroutinefunction(function) else heard)
        try:
            yield
        finally:
            setattr(module, name, function)

    @contextlib.contextmanager
    def _told(
        self, step: str, takes: Mapping[str, Any], here: Path, tell: Callable[[Any], Any]
    ) -> Iterator[dict[str, Any]]:
        """Note what a call does; the block puts what it gives into the mapping that it is lent."""
        before = Describer(str(here)).of(dict(takes))
        results = self.results._CURRENT.get()
        kept = {} if results is None else dict(results)
        counts = _counts(results)
        files = stamps(here)
        printed = io.StringIO()
        call: dict[str, Any] = {}
        raised = ""
        try:
            with contextlib.redirect_stdout(printed):
                yield call
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            raise
        finally:
            to = Describer(str(here))
            after = to.of(dict(takes))
            told: dict[str, Any] = {"takes": "unchanged" if _same(before, after) else after}
            told |= {"raises": to.text(raised)} if raised else {"gives": to.of(self._named(step, call.get("gives")))}
            if results is not None:
                new = {name: value for name, value in results.items() if kept.get(name, kept) is not value}
                told["keeps"] = to.of(new)
                told["shows"] = to.of(_newer(results.displayed, counts["displayed"]))
                told["figures"] = to.of(_newer(results.figures, counts["figures"]))
            told["prints"] = to.text(printed.getvalue())
            told["writes"] = to.of(written(here, files))
            # Whoever called may listen, too.
            sys.stdout.write(printed.getvalue())
            tell(told)

    def _named(self, step: str, given: Any) -> Any:
        """What a step gives, by the names that it has in the notebook."""
        if self.is_alone and isinstance(given, types.GeneratorType):
            return {"yields": list(itertools.islice(given, MOST_YIELDED))}
        names = self.gives.get(step, ())
        if len(names) == 1:
            return {names[0]: given}
        if names and isinstance(given, tuple) and len(given) == len(names):
            return dict(zip(names, given, strict=True))
        return given

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.is_alone = True
        try:
            yield
        finally:
            self.is_alone = False

    def replay(self, step: str, takes: Any, here: Path) -> dict[str, Any]:
        """Call a step with what was recorded; what it did."""
        module, name = self.place(step)
        found: list[dict[str, Any]] = []
        with within(here, self.libraries), self.results.collecting():
            try:
                given = Rebuilder(str(here), self.knows).of(takes)
            except Exception as error:
                return {"raises": f"{NOT_CALLED}: {error}"}
            with self.heard(step, found.append, here), self._alone(), contextlib.suppress(Exception):
                call = bound(getattr(module, name), given)
                if inspect.iscoroutine(call):
                    asyncio.run(call)
        return found[0] if found else {"raises": NOT_CALLED}


def bound(function: Any, given: Mapping[str, Any]) -> Any:
    """Call a function with its arguments by the names of its parameters."""
    signature = inspect.signature(function)
    arguments = signature.bind_partial()
    arguments.arguments.update({name: given[name] for name in signature.parameters if name in given})
    return function(*arguments.args, **arguments.kwargs)


def _same(one: Any, other: Any) -> bool:
    from .comparing import differences

    return not any(differences(one, other, ""))


def _counts(results: Any) -> dict[str, dict[str, int]]:
    if results is None:
        return {"displayed": {}, "figures": {}}
    return {
        name: {cell: len(held) for cell, held in getattr(results, name).items()} for name in ("displayed", "figures")
    }


def _newer(held: Mapping[str, list[Any]], counts: Mapping[str, int]) -> dict[str, list[Any]]:
    found = {cell: values[counts.get(cell, 0) :] for cell, values in held.items()}
    return {cell: values for cell, values in found.items() if values}
