"""Schemas: made tidy, and turned into examples."""

from collections.abc import Mapping
from typing import Any, Final

from tools.openapi.examples import EXAMPLES

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


def example(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """One value that the schema allows: what `EXAMPLES` says of its fields, else of the examples that they give.

    `name` is the schema's, if it is a component.

    Raises:
        ValueError: a field has a pattern, and no example.
    """
    match schema:
        case {"examples": [first, *_]}:
            return first
        case {"$ref": reference}:
            referred = reference.rpartition("/")[2]
            return example(components[referred], components, referred)
        case {"const": value}:
            return value
        case {"enum": [first, *_]}:
            return first
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
            return example(first, components)
        case {"type": "object", "properties": fields}:
            return {field: _of_field(name, field, said, components) for field, said in fields.items()}
        case {"type": "array", "items": item}:
            return [example(item, components)]
        case _:
            return _simple(schema)


def _of_field(schema: str, field: str, said: Schema, components: Mapping[str, Schema]) -> Any:
    known = next((key for key in (f"{schema}.{field}", field) if key in EXAMPLES), None)
    # What a schema says of its own field is more than what is said of all fields of that name.
    if known is None or (known == field and "examples" in said):
        return example(said, components)
    return EXAMPLES[known]


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
