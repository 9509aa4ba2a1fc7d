"""What a browser loads of us stays small."""

from pathlib import Path

BUILT = Path(__file__).parents[2] / "extensions/lab/build/labextension/static"
MOST_BYTES = 150_000


def test_all_scripts_together_are_at_most_150_kilobytes() -> None:
    """Panels, charts, styles and the code that loads them."""
    sizes = {path.name: path.stat().st_size for path in BUILT.glob("*.js")}

    assert sizes, f"build the extension first: nothing lies in {BUILT}"
    assert sum(sizes.values()) <= MOST_BYTES, sizes
