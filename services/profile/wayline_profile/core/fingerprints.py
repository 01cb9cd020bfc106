"""Under which key a profile keeps the state of a trait: its name, and a fingerprint of what shapes the state.

So the states of two definitions never mix: a trait that changes begins anew under another key, and is filled in from
the stored events. What only shapes how a state is read (a default, a type, a unit) changes nothing that is stored.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from wayline.catalog.contact import Outcomes
from wayline.catalog.traits import EventTrait
from wayline_profile.core.properties import text_of_default

SHAPING = frozenset({"kind", "event", "where", "property", "window", "half_life", "weights"})
"""The fields of declarations that decide which state some events leave."""
READING = frozenset({"default", "type", "unit", "labels"})
"""The fields that only decide how a state is read."""
_VERSIONS: dict[str, int] = {}
"""Kind to the version of its folder, from 1: one more whenever it makes another state of the same events."""
_DIGEST_BYTES = 4


def state_key(name: str, trait: EventTrait) -> str:
    """'orders#0f3a91c2': the key of a trait's state in `Profile.states`."""
    shape: dict[str, Any] = {field: getattr(trait, field) for field in SHAPING if field in type(trait).model_fields}
    shape["where"] = {field: text_of_default(value) for field, value in trait.where.items()}
    shape["event"] = sorted(trait.event)
    return f"{name}#{_digest({**shape, 'version': _VERSIONS.get(shape['kind'], 1)})}"


def contacts_key(outcomes: Outcomes) -> str:
    """The same of the events that tell contacts. Contacts have a field of their own; the key stands for them."""
    told = {outcome: sorted(names) for outcome, names in outcomes.model_dump(mode="json").items()}
    return f"#contacts#{_digest(told)}"


def name_of(key: str) -> str:
    """The trait's name in a key; 'contacts' for that of contacts."""
    return key.rpartition("#")[0].lstrip("#")


def _digest(said: Any) -> str:
    return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=_DIGEST_BYTES).hexdigest()
