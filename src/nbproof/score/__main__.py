"""What an engine starts: `python -m nbproof.score OUTPUT WORK PART` scores one part of a plan."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import NbproofError
from .device import prepare_process
from .partitions import carry_out_one


def main() -> int:
    output, work, number = sys.argv[1:4]
    prepare_process()
    try:
        made = carry_out_one(Path(output), int(number), Path(work))
    except NbproofError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return error.exit_code
    if made is None:
        sys.stdout.write(f"{output} was complete before; nothing is done again\n")
        return 0
    part = made.plan.parts[int(number)]
    sys.stdout.write(f"part {number}: {part.rows} rows on {made.loaded.device.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
