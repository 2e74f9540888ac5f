"""Schemas: made tidy, and turned into examples."""

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples"})
_BY_NAME: Final = frozenset({"$defs", "properties"})
_BY_FORMAT: Final = {
    "date-time": "2026-11-24T10:15:30.123456Z",
    "email": "ada@example.com",
    "uri": "https://example.com/hook",
    "uuid": "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10",
}


def tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of Python names, and with whole numbers written as such."""
    match schema:
        case dict():
            return {
                name: value if name in _VALUES else _tidy_members(name, value)
                for name, value in schema.items()
                if not (name == "title" and isinstance(value, str))
            }
        case list():
            return [tidy(item) for item in schema]
        case float() if schema.is_integer():
            return int(schema)
        case _:
            return schema


def example(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """One value that the schema allows, of the examples that its fields give.

    Raises:
        ValueError: a field has a pattern, and no example.
    """
    match schema:
        case {"examples": [first, *_]}:
            return first
        case {"$ref": reference}:
            return example(components[reference.rpartition("/")[2]], components)
        case {"const": value}:
            return value
        case {"enum": [first, *_]}:
            return first
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
            return example(first, components)
        case {"type": "object", "properties": fields}:
            return {name: example(field, components) for name, field in fields.items()}
        case {"type": "array", "items": item}:
            return [example(item, components)]
        case _:
            return _simple(schema)


def _simple(schema: Schema) -> Any:
    match schema.get("type"):
        case "string" if "pattern" in schema:
            raise ValueError(f"Give the field with the pattern {schema['pattern']} an example")
        case "string":
            return _BY_FORMAT.get(schema.get("format", ""), "text")
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "object":
            return {}
        case _:
            return None


def _tidy_members(name: str, value: Any) -> Any:
    if name in _BY_NAME:
        return {member: tidy(schema) for member, schema in value.items()}
    return tidy(value)
