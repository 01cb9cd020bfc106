"""Purposes, and how a customer stands on one: one pure function for collection and for every use of data.

Three states: granted, denied, and unknown while the customer has said nothing. Unknown is not allowed unless the
region's default, or a legal basis that needs no consent, says so: whatever is in doubt is denied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from wayline.catalog.fields import Labels, Model, Name

MAX_REGIONS = 300
MAX_EVENT_PURPOSES = 1_000
NO_PURPOSE = "none"
OPTED_OUT = "the customer has opted out of sale and sharing (Global Privacy Control, or 'do not sell or share')"
RESTRICTED = "processing is restricted"

LegalBasis = Literal[
    "consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"
]
"""GDPR, article 6(1), in the words of the Segment consent spec."""
Answer = Literal["granted", "denied"]
State = Literal["granted", "denied", "unknown"]

EU = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()  # noqa: SIM905
)
EEA = EU | {"IS", "LI", "NO"}
GROUPS: Mapping[str, frozenset[str]] = {"EU": EU, "EEA": EEA | {"EU"}}
"""Regions that stand for several countries, the smaller first."""
_OTHER_CODES = {"UK": "GB", "EL": "GR"}
"""The Union's own codes for the two countries for which they are not those of ISO 3166."""


def _region(code: str) -> str:
    country = code.partition("-")[0]
    if country in _OTHER_CODES:
        raise ValueError(f"there is no region '{code}' in ISO 3166; write {_OTHER_CODES[country]}{code[2:]}")
    return code


Region = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$|^EEA$"), AfterValidator(_region)]
"""ISO 3166-1 country, ISO 3166-2 subdivision, or one of `GROUPS`."""


class Purpose(Model):
    """What data is used for, and what holds while the customer has said nothing."""

    default: Answer | None = Field(
        None, description="Not given: denied where the legal basis is consent, granted where it is another."
    )
    defaults: dict[Region, Answer] = Field(
        default_factory=dict,
        max_length=MAX_REGIONS,
        description="By region: US-CA before US, a country before EU and EEA, these before `default`.",
    )
    legal_basis: LegalBasis = "consent"
    sale_or_sharing: bool = Field(
        False, description="Data is sold or shared (CCPA): denied while the customer has opted out of that."
    )
    may_use: Labels = Field((), description="Labels of the fields that it may read, beside those without labels.")

    def unasked(self, region: str) -> tuple[Answer, str]:
        """What holds in a region while the customer has said nothing, and the rule that says so, in words."""
        for code in _wider(region):
            if code in self.defaults:
                return self.defaults[code], f"the default for {code} is {self.defaults[code]}"
        if self.default is not None:
            return self.default, f"the default is {self.default}"
        if self.legal_basis == "consent":
            return "denied", "the default is denied"
        return "granted", f"its legal basis is {self.legal_basis.replace('_', ' ')}"


def _wider(region: str) -> Iterator[str]:
    """The codes by which a region is looked up, the most specific first."""
    code = region.upper()
    country, dash, rest = code.partition("-")
    country = _OTHER_CODES.get(country, country)
    if dash:
        yield f"{country}-{rest}"
    yield country
    yield from (group for group, members in GROUPS.items() if country in members)


class Said(NamedTuple):
    """What is known of a customer's wishes."""

    consents: Mapping[str, bool] = {}
    """Purpose to the last word."""
    region: str = ""
    """ISO 3166; empty: not known."""
    opted_out: bool = False
    """Global Privacy Control holds, or 'do not sell or share'."""
    restricted: bool = False
    """Processing is restricted (GDPR, article 18)."""


NOTHING_SAID = Said()


class Standing(NamedTuple):
    """How a customer stands on a purpose."""

    allowed: bool
    state: State
    """What the customer said, by a word or by a signal; 'unknown': nothing."""
    why: str
    """In words."""


_NEEDS_NONE = Standing(True, "granted", "no purpose is named, so no consent is needed")
_RESTRICTED = Standing(False, "denied", RESTRICTED)
_NO = Standing(False, "denied", "the customer said no")
_YES = Standing(True, "granted", "the customer said yes")
_OPTED_OUT = Standing(False, "denied", OPTED_OUT)


def standing_of(name: str | None, purpose: Purpose | None, said: Said) -> Standing:
    """Whether data may be used for a purpose.

    A restriction goes before everything. Then a no counts, whatever the legal basis: what has to go out regardless
    names no purpose. Then an opt-out of sale and sharing, which a yes to one purpose does not lift, be it earlier or
    later (11 CCR § 7025(c)(3): the signal is processed as valid where it conflicts with a setting of the business).

    Args:
        name: None needs no consent, except under restriction.
        purpose: as the catalogue declares it; None: it does not, and only a yes allows it.
        said: by the customer.
    """
    if said.restricted:
        return _RESTRICTED
    if name is None:
        return _NEEDS_NONE
    word = said.consents.get(name)
    if word is False:
        return _NO
    if said.opted_out and purpose is not None and purpose.sale_or_sharing:
        return _OPTED_OUT
    if word:
        return _YES
    if purpose is None:
        return Standing(False, "unknown", "unknown: nothing was said, and the purpose is not declared")
    answer, why = purpose.unasked(said.region)
    return Standing(answer == "granted", "unknown", f"unknown: nothing was said, and {why}")


class Storing(Model):
    """For which purpose an event is stored; without one, it is necessary, and the legal basis says why."""

    purpose: Name | None = None
    legal_basis: LegalBasis | None = None

    @model_validator(mode="after")
    def _necessary(self) -> Storing:
        if self.purpose is None and self.legal_basis in (None, "consent"):
            raise ValueError("what is stored without a purpose needs a legal_basis other than consent")
        if self.purpose is not None and self.legal_basis is not None:
            raise ValueError("the purpose has a legal_basis of its own; give one of the two")
        return self


def _storing(value: Any) -> Any:
    """A purpose may be given by its name, and 'none' stands for none."""
    if isinstance(value, str):
        value = {"purpose": value}
    if isinstance(value, dict) and value.get("purpose") == NO_PURPOSE:
        return {name: given for name, given in value.items() if name != "purpose"}
    return value


class Collection(Model):
    """What may be stored. An event whose purpose its own consent does not allow is not stored."""

    purpose: Name = Field(description="For which events are stored that are not named below.")
    events: dict[Annotated[str, Field(min_length=1, max_length=128)], Annotated[Storing, BeforeValidator(_storing)]] = (
        Field(
            default_factory=dict,
            max_length=MAX_EVENT_PURPOSES,
            description="By name of a track event; 'page', 'screen', 'identify', 'group', 'alias': all of these.",
        )
    )
