"""Whether a module's answers depend on nothing but the rows that it was given, as its graph tells.

Several threads may ask such a module at once. One that keeps something between two steps, be it a number on `self`,
would mix the rows of one thread with those of another, and nobody would see it in the scores.
"""

from __future__ import annotations

import operator
from typing import Any

# What these make is new memory; others may hand on what they were given.
_MAKE_NEW = {"linear", "addmm", "mm", "add", "sub", "mul", "div", "batch_norm", "layer_norm", "conv1d", "conv2d"}
# Of Python's own: one of several answers, and what is reckoned of the number of rows.
_PURE = {
    operator.getitem, operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
}  # fmt: skip
# Programs that were exported check the shape of their input by this one.
_GUARDS = "_guards_fn"


def is_stateless(module: Any) -> bool:
    """Whether every step of the module is one of torch's own that changes nothing but what this very call has made.

    Only an exported program lists all of its steps; of any other module nobody can know.
    """
    import torch

    return isinstance(module, torch.fx.GraphModule) and all(map(_changes_nothing, module.graph.nodes))


def _changes_nothing(node: Any) -> bool:
    if node.op != "call_function":
        return node.op in ("placeholder", "get_attr", "output") or (node.op == "call_module" and node.target == _GUARDS)
    if node.target in _PURE:
        return True
    schema = _schema(node)
    if schema is None:
        return False
    if not schema.is_mutable:
        return True
    changed = {
        at for at, each in enumerate(schema.arguments) if each.alias_info is not None and each.alias_info.is_write
    }
    # What is changed stands first in all of torch's own steps that change one thing in place.
    return changed == {0} and bool(node.args) and _is_own(node.args[0])


def _is_own(found: Any) -> bool:
    """Whether a value of the graph is memory that this call has made."""
    schema = _schema(found)
    if schema is None:
        return False
    name = schema.name.removeprefix("aten::")
    return name in _MAKE_NEW or (schema.is_mutable and bool(found.args) and _is_own(found.args[0]))


def _schema(node: Any) -> Any:
    """What torch says about one of its own operations; None of anything else."""
    from torch._ops import OpOverload

    target = getattr(node, "target", None)
    return target._schema if isinstance(target, OpOverload) and target.namespace in ("aten", "prims") else None
