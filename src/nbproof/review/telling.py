"""How a notebook stands, as JSON: for machines and for the panel."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .standing import Given, Standing


def standing_to_json(found: Standing) -> dict[str, Any]:
    """The standing, with what is bound now and what was decided."""
    binding = found.binding
    return {
        "notebook": found.notebook,
        "state": found.state,
        "approved": found.is_approved,
        "sentence": found.sentence,
        "digest": str(binding.digest) if binding else None,
        "bound": binding.bound.hex if binding else None,
        "subjects": [{"kind": s.kind, "name": s.name, "digest": s.digest.hex} for s in binding.subjects]
        if binding
        else [],
        "absent": list(binding.absent) if binding else [],
        "parameters": dict(binding.parameters) if binding else {},
        "changes": [asdict(change) for change in found.changes],
        "decisions": [_given(given) for given in found.given],
        "last": _given(found.last) if found.last else None,
        "asked": {"by": found.asked.by, "at": found.asked.at, "comment": found.asked.comment} if found.asked else None,
        "missing": list(found.missing),
    }


def _given(given: Given) -> dict[str, Any]:
    said = given.approval
    return {
        "decision": said.decision,
        "reviewer": said.reviewer,
        "key": said.key,
        "at": said.at,
        "expires": said.expires,
        "comment": said.comment,
        "conditions": [{"text": held.text, "due": held.due} for held in said.conditions],
        "digest": str(said.digest),
        "file": given.entry.file,
        "counts": not given.problem,
        "problem": given.problem,
    }
