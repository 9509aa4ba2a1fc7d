"""The process that forks: `python -m fuzzing_forked MODULE…`, then a job a line on standard input."""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
import traceback
from typing import Any


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            _carry_out(told)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _carry_out(told: dict[str, Any]) -> None:
    """Be the process of one job, to its end."""
    status = 1
    try:
        words = os.open(told["words"], os.O_WRONLY | os.O_CREAT)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(words, 1)
        os.dup2(words, 2)
        # Nobody waits longer, whatever the job does.
        signal.alarm(int(told["longest_s"]))
        sys.stdin = io.StringIO(json.dumps(told["job"]))
        sys.argv = [told["call"]]
        module, _, function = told["call"].partition(":")
        getattr(importlib.import_module(module), function)()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
