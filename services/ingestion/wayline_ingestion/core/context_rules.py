"""The rules of an event's context: locale, channel, region, consent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from wayline.catalog.consent import LegalBasis
from wayline.v1 import events_pb2
from wayline_ingestion.core.refusal import refuse, refuse_long
from wayline_ingestion.core.value_rules import check_struct

MAX_SHORT_CHARACTERS = 64
MAX_LOCALE_CHARACTERS = 35
MAX_CONTEXT_KEYS = 100
MAX_PURPOSES = 50
LEGAL_BASES: tuple[str, ...] = get_args(LegalBasis)
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def check_context(context: events_pb2.EventContext) -> None:
    """Check a context.

    Raises:
        Refused: something in it breaks a rule.
    """
    if len(context.locale) > MAX_LOCALE_CHARACTERS:
        refuse_long("context.locale", MAX_LOCALE_CHARACTERS)
    if len(context.timezone) > MAX_SHORT_CHARACTERS:
        refuse_long("context.timezone", MAX_SHORT_CHARACTERS)
    if len(context.channel) > MAX_SHORT_CHARACTERS:
        refuse_long("context.channel", MAX_SHORT_CHARACTERS)
    region = context.region
    if region and not _REGION.fullmatch(region):
        refuse("bad_characters", "context.region", "expected a code of ISO 3166 in capitals, such as 'FR' or 'US-CA'")
    if context.HasField("consent"):
        _check_consent(context.consent)
    if context.HasField("other"):
        check_struct(context.other, "context.other", MAX_CONTEXT_KEYS)


def _check_consent(consent: events_pb2.Consent) -> None:
    _check_purposes(consent.category_preferences, "context.consent.category_preferences")
    if consent.legal_bases:
        path = "context.consent.legal_bases"
        _check_purposes(consent.legal_bases, path)
        for purpose, basis in consent.legal_bases.items():
            if basis not in LEGAL_BASES:
                refuse("not_a_value", f"{path}.{purpose}", f"expected one of {', '.join(LEGAL_BASES)}")
    if len(consent.source) > MAX_SHORT_CHARACTERS:
        refuse_long("context.consent.source", MAX_SHORT_CHARACTERS)
    if len(consent.text_version) > MAX_SHORT_CHARACTERS:
        refuse_long("context.consent.text_version", MAX_SHORT_CHARACTERS)


def _check_purposes(purposes: Mapping[str, object], path: str) -> None:
    if len(purposes) > MAX_PURPOSES:
        refuse("too_many", path, f"expected at most {MAX_PURPOSES} purposes, got {len(purposes)}")
    for purpose in purposes:
        if not purpose:
            refuse("missing", path, f"expected names of 1 to {MAX_SHORT_CHARACTERS} characters, got an empty one")
        if len(purpose) > MAX_SHORT_CHARACTERS:
            refuse_long(f"{path}.{purpose}", MAX_SHORT_CHARACTERS)
