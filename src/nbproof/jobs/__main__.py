"""What an engine starts: `python -m nbproof.jobs FOLDER INDEX` runs one element of the job in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from .admission import verify_again
from .element import carry_out
from .place import Place


def main() -> int:
    place = Place(Path(sys.argv[1]))
    return carry_out(place, int(sys.argv[2]), lambda: verify_again(place.package()))


if __name__ == "__main__":
    sys.exit(main())
