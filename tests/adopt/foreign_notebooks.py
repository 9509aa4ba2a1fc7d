"""Notebooks as other people write them: in many styles, none for nbproof; each tiny."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def notebook(*cells: str, kernel: str | None = "python3", language: str = "python", minor: int = 4) -> str:
    """A notebook file: cells that begin with `# ` and hold nothing else than headings are markdown, others code."""
    metadata: dict[str, Any] = {"language_info": {"name": language}}
    if kernel is not None:
        metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": language}
    made = []
    for number, source in enumerate(cells, start=1):
        is_markdown = source.startswith("# ") and "\n" not in source
        cell: dict[str, Any] = {"cell_type": "markdown" if is_markdown else "code", "metadata": {}, "source": source}
        if not is_markdown:
            cell |= {"execution_count": number, "outputs": []}
        made.append(cell)
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor})


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Put files into a folder; returns it."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def source_of(copy: Path) -> list[str]:
    """The sources of the code cells of a copied notebook."""
    return [cell["source"] for cell in json.loads(copy.read_text())["cells"] if cell["cell_type"] == "code"]


def joined(sources: Sequence[str]) -> str:
    """All code of a notebook in one text."""
    return "\n\n".join(sources)


ROWS = "day,shop,sold\n" + "".join(
    f"{day},{shop},{day * 3 % 7 + len(shop)}\n" for day in range(40) for shop in ("a", "bb")
)

TEN: Mapping[str, str] = {
    "data/raw/sales.csv": ROWS,
    "data/shops.json": '{"a": "North", "bb": "South"}',
    "helpers.py": "def total(rows):\n    return sum(int(row['sold']) for row in rows)\n",
    # Constants at the top, a path among them, and a magic.
    "01 load & clean.ipynb": notebook(
        "# Loading",
        "%matplotlib inline\nimport pandas as pd\nimport os",
        "# how many rows to keep\nN = 60\nmin_sold = 1   # fewer is a mistake\npath = 'data/raw/sales.csv'",
        "df = pd.read_csv(path)\ndf = df[df.sold >= min_sold].head(N)",
        "os.makedirs('data/clean', exist_ok=True)\ndf.to_csv('data/clean/sales.csv', index=False)\ndf.shape",
    ),
    # os.path.join, a folder as a constant, open and csv.
    "02_totals.ipynb": notebook(
        "import csv, json, os\nfrom helpers import total\nDATA = 'data'",
        "with open(os.path.join(DATA, 'clean', 'sales.csv')) as f:\n    rows = list(csv.DictReader(f))",
        "names = json.load(open(os.path.join(DATA, 'shops.json')))",
        "out = {names[s]: total([r for r in rows if r['shop'] == s]) for s in names}\n"
        "with open('totals.json', 'w') as f:\n    json.dump(out, f)",
    ),
    # pathlib throughout.
    "03-features.ipynb": notebook(
        "from pathlib import Path\nimport numpy as np\nimport pandas as pd",
        "HERE = Path('.')\nCLEAN = HERE / 'data' / 'clean'\nFEATURES = CLEAN / 'features.npy'",
        "sales = pd.read_csv(CLEAN / 'sales.csv')\nX = sales[['day', 'sold']].to_numpy(float)",
        "np.save(FEATURES, X)\n(CLEAN / 'columns.txt').write_text('day\\nsold')\nprint(FEATURES.stat().st_size)",
    ),
    # joblib, a seed, an f-string of constants.
    "04_train.ipynb": notebook(
        "import joblib\nimport numpy as np\nfrom sklearn.linear_model import Ridge",
        "SEED = 42\nALPHA = 0.5\nMODELS = 'models'\nVERSION = 1",
        "np.random.seed(SEED)\nX = np.load('data/clean/features.npy')\n"
        "model = Ridge(alpha=ALPHA).fit(X[:, :1], X[:, 1])",
        "import os\nif not os.path.isdir(MODELS):\n    os.mkdir(MODELS)\n"
        "joblib.dump(model, f'{MODELS}/ridge_v{VERSION}.joblib')",
    ),
    # A name that Ploomber uses, a figure, a timed line.
    "05_plot.ipynb": notebook(
        "import joblib, matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nimport numpy as np",
        "product = 'sales of both shops'",
        "%time model = joblib.load('models/ridge_v1.joblib')\nX = np.load('data/clean/features.npy')",
        "plt.plot(X[:, 0], model.predict(X[:, :1]))\nplt.title(product)\nplt.savefig('plot.png')",
    ),
    # In a subfolder, with paths relative to it; a nested function.
    "reports/final report.ipynb": notebook(
        "import json\nfrom IPython.display import Image",
        "def read(name='../totals.json'):\n    with open(name) as f:\n        return json.load(f)\n\ntotals = read()",
        "with open('../reports/final.html', mode='w') as f:\n    f.write(f'<h1>{sum(totals.values())}</h1>')",
        "Image('../plot.png')",
    ),
    # A percent script.
    "06_check.py": "# %% [markdown]\n# # Check\n\n# %%\nimport json\nlimit = 10\n\n# %%\n"
    "totals = json.load(open('totals.json'))\nassert sum(totals.values()) > limit\n",
    # Parameters as papermill wants them.
    "07_papermill.ipynb": notebook(
        "rows = 5\nname = 'first'",
        "import pandas as pd\nhead = pd.read_csv('data/clean/sales.csv', nrows=rows)\n"
        "head.to_json(path_or_buf='head.json')\nname",
    ).replace('"metadata": {}, "source": "rows', '"metadata": {"tags": ["parameters"]}, "source": "rows'),
    # All files of a folder, the kernel of another machine.
    "08_glob.ipynb": notebook(
        "import glob, pandas as pd",
        "parts = [pd.read_csv(name) for name in sorted(glob.glob('data/raw/*.csv'))]\nrows = sum(map(len, parts))",
        "open('count.txt', 'w').write(str(rows))",
        kernel="conda-env-other-py",
    ),
    # Nothing is read and nothing is found.
    "09_notes.ipynb": notebook("1 + 1", kernel=None),
    # Left out, each for its own reason.
    "other/analysis.ipynb": notebook("x <- read.csv('a.csv')", kernel="ir", language="R"),
    "old.ipynb": notebook("print 'Python 2'"),
    "broken.ipynb": '{"cells": [',
    "script.R": "x <- 1\n",
}  # fmt: skip
