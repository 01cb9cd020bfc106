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
    _, profile = look_up(store, customer, reading)
    if profile is None:
        raise NotFound(
            f"customer: no profile has this {customer.kind}; look for a typing error, name another identifier, or ask "
            "again if the events came in just now"
        )
    return profile


def look_up(
    store: ProfileStore, customer: events_pb2.Identifier, reading: Reading | None
) -> tuple[bytes, profile_pb2.Profile | None]:
    """As `find`, where it is no error that no profile has the identifier: its identity key, and the profile.

    Raises:
        InvalidField: this is no identifier.
    """
    key = check_identifier(customer, "customer", reading.definitions.identity.kinds if reading else None)
    return key, next(iter(store.profiles_of([key]).values()), None)
