"""What a key is as a SCIM resource: the schema that filters and sorting are read with."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from scim2_models import Resource, Schema

SCHEMA_DOCUMENT: Final[dict[str, Any]] = json.loads(
    resources.files("schemas").joinpath("key.json").read_text(encoding="utf-8")
)
"""The schema as it is served (RFC 7643 §7)."""

KEY_SCHEMA: Final = str(SCHEMA_DOCUMENT["id"])
"""The URN of the schema."""

KeyResource: Final[type[Resource[Any]]] = Resource.from_schema(Schema.model_validate(SCHEMA_DOCUMENT))
"""The model of a key: no key is ever made with it, only what is said about keys is read with it."""
