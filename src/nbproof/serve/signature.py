"""What a model takes: its fields with types, ranges and categories, as data and as a validating type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

Type = Literal["integer", "number", "string", "boolean"]

# The whole numbers up to here are all floats, too, as which models take them.
EXACT = 2**53
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_PYTHON: Mapping[Type, type] = {"integer": int, "number": float, "string": str, "boolean": bool}


@dataclass(frozen=True, slots=True)
class Input:
    """One field: `minimum` and `maximum` are inclusive, `categories` are the only values it may take."""

    name: str
    type: Type
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[int, ...] | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"not a field name: {self.name!r}")
        if self.type not in _PYTHON:
            raise ValueError(f"{self.name}: unknown type {self.type!r}; expected one of {', '.join(_PYTHON)}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"{self.name}: minimum {self.minimum} is above maximum {self.maximum}")
        if self.categories and self.type not in ("integer", "string"):
            raise ValueError(f"{self.name}: a {self.type} has no categories")

    @property
    def lowest(self) -> float | None:
        """The least value that is taken: of whole numbers never less than what a float holds exactly."""
        bound = -EXACT if self.type == "integer" and not self.categories else None
        return bound if self.minimum is None else self.minimum

    @property
    def highest(self) -> float | None:
        """The greatest value that is taken."""
        bound = EXACT if self.type == "integer" and not self.categories else None
        return bound if self.maximum is None else self.maximum

    @property
    def annotation(self) -> Any:
        """The field as pydantic checks it: strict, so that "1" is no integer and no infinity is a number."""
        allowed: Any = Literal[self.categories] if self.categories else _PYTHON[self.type]
        return allowed | None if self.nullable else allowed


@dataclass(frozen=True, slots=True)
class Signature:
    """The fields of one row, in the order in which the model was trained on them."""

    inputs: tuple[Input, ...]

    def __post_init__(self) -> None:
        names = [each.name for each in self.inputs]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a signature needs fields with distinct names: {names}")

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Signature:
        """Return the signature that `written` wrote; raises `ValueError` where it is none."""
        try:
            return cls(tuple(Input(**{**each, "categories": tuple(each["categories"])}) for each in data["inputs"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a signature: {error}") from error

    def written(self) -> dict[str, Any]:
        """Return the signature as JSON data, every key present."""
        return {
            "inputs": [
                {
                    "name": each.name,
                    "type": each.type,
                    "nullable": each.nullable,
                    "minimum": each.minimum,
                    "maximum": each.maximum,
                    "categories": list(each.categories),
                }
                for each in self.inputs
            ]
        }

    def row_type(self) -> Any:
        """Return the type of one row for pydantic: an unknown field, a wrong type or a value out of range is refused.

        It is a mapping and no class of its own: rows become columns at once, and each object would cost.
        """
        return typed(
            "Row",
            {each.name: Annotated[each.annotation, Field(ge=each.lowest, le=each.highest)] for each in self.inputs},
        )

    def columns(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Return validated rows as columns in training order; a null number becomes NaN."""
        return {each.name: _column(each, (row[each.name] for row in rows)) for each in self.inputs}

    def rows(self, columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
        """Return columns (of a data frame, say) as rows of plain values that JSON can carry; NaN becomes null."""
        listed = [[_plain(each, value) for value in columns[each.name]] for each in self.inputs]
        names = [each.name for each in self.inputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*listed, strict=True)]


def _plain(field: Input, value: Any) -> Any:
    if value is None or type(value).__name__ == "NAType" or value != value:
        return None
    return _PYTHON[field.type](value)


def _column(field: Input, values: Iterable[Any]) -> list[Any]:
    if field.type == "number" or (field.nullable and field.type == "integer"):
        return [float("nan") if value is None else float(value) for value in values]
    return list(values)


def typed(name: str, fields: Mapping[str, Any]) -> Any:
    """A mapping with these keys and no others, as a type that pydantic checks strictly."""
    from typing_extensions import TypedDict

    make: Any = TypedDict
    made = make(name, dict(fields))
    made.__pydantic_config__ = STRICT
    return made
