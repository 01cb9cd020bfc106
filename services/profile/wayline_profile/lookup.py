"""A customer's profile, by any of its identifiers."""

from __future__ import annotations

from wayline.errors import NotFound
from wayline.identity import check_identifier
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.values import Reading
from wayline_profile.store import ProfileStore


def find(store: ProfileStore, customer: events_pb2.Identifier, reading: Reading | None) -> profile_pb2.Profile:
    """The profile of a customer, as a request names her in its field `customer`.

    Args:
        store: where it is.
        customer: any identifier.
        reading: the catalogue in use, whose kinds of identifier count; None: there is none yet.

    Raises:
        InvalidField: this is no identifier.
        NotFound: no profile has it.
    """
    key = check_identifier(customer, "customer", reading.definitions.identity.kinds if reading else None)
    profile_id = store.resolve([key]).get(key)
    for profile in store.get_many([profile_id]).values() if profile_id else ():
        return profile
    raise NotFound(f"customer: no profile has this {customer.kind}")
