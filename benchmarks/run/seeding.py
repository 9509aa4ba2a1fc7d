"""A pipeline as if it had just been built, without running it: `python seeding.py nbproof|ploomber FOLDER < PRODUCTS`.

Building a thousand notebooks takes half an hour; what counts is what the next build makes of them. Products come as
JSON, task to text. Should either tool keep its books in another way some day, its next build runs the tasks, and the
measurement is refused.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path


def seed_nbproof(folder: Path, texts: Mapping[str, str]) -> None:
    from nbproof import assemble
    from nbproof.run.build import make_state
    from nbproof.run.fingerprint import fingerprint
    from nbproof.run.freshness import Product, new_record
    from nbproof.run.look import Look
    from nbproof.run.sources.hashes import content_hash, meaning_hash

    loaded = assemble.load_pipeline(assemble.open_project(folder), folder / "pipeline.yaml")
    pipeline, state = loaded.pipeline, make_state(loaded)
    for task in pipeline.tasks:
        _write_products(folder, task.name, texts[task.name])
        look = Look(loaded.memory)
        environment = look.environment(task.kernel)
        now = fingerprint(task, loaded.notebooks[task.name], pipeline=pipeline, look=look)
        products = {}
        for key, path in task.products.items():
            content, meaning = content_hash(path), meaning_hash(path)
            assert content is not None
            assert meaning is not None
            products[key] = Product(os.path.relpath(path, pipeline.project), content.hex, meaning.hex)
        state.environments.remember(environment.lock.hex, environment.packages)
        state.records.write(task.name, new_record(now, products, "seeded"))
    loaded.memory.save()


def seed_ploomber(folder: Path, texts: Mapping[str, str]) -> None:
    from ploomber.spec import DAGSpec

    dag = DAGSpec(folder / "pipeline.yaml").to_dag().render()
    # What must run first is first here as well: Ploomber compares the moments.
    for name in texts:
        task = dag[name]
        _write_products(folder, name, texts[name])
        parameters = task.params.to_json_serializable(params_only=True)
        task.product.metadata.update(source_code=str(task.source), params=parameters)


def _write_products(folder: Path, task: str, text: str) -> None:
    shutil.copy(folder / f"{task}.ipynb", folder / f"build/{task}.ipynb")
    (folder / f"build/{task}.txt").write_text(text)


def main() -> None:
    warnings.simplefilter("ignore")
    tool, folder = sys.argv[1], Path(sys.argv[2])
    os.chdir(folder)
    {"nbproof": seed_nbproof, "ploomber": seed_ploomber}[tool](folder, json.load(sys.stdin))


if __name__ == "__main__":
    main()
