"""What requests ask for: the catalogue in use, and a customer's profile by any of its identifiers."""

from __future__ import annotations

from wayline.errors import NotFound, Retryable
from wayline.identity import check_identifier
from wayline.v1 import events_pb2, profile_pb2
from wayline_profile.core.values import Reading
from wayline_profile.store import ProfileStore


def in_use(reading: Reading | None) -> Reading:
    """How profiles are read now.

    Raises:
        Retryable: no catalogue was applied yet.
    """
    if reading is None:
        raise Retryable("no catalogue was applied yet; apply one with: wayline catalog apply DIR")
    return reading


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
    for profile in store.profiles_of([key]).values():
        return profile
    raise NotFound(f"customer: no profile has this {customer.kind}")
