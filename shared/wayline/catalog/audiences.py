"""Audiences: customers for whom a rule holds, kept up to date. Each is a trait of the same name as well: true or false.

So any other rule may say `profile.lapsed`. Of a customer of whom nothing is known, or may be used, it is false.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from wayline.catalog.fields import Expression, Model, Name, Text
from wayline.catalog.traits import RuleTrait

MAX_AUDIENCES = 200


class Audience(Model):
    """The customers for whom a rule over the profile holds."""

    rule: Expression
    description: Text = ""
    because: Text = ""
    purpose: Name | None = Field(
        None, description="Whoever does not allow it is no member. None: whoever the rule says."
    )


def audience_traits(audiences: Mapping[str, Audience]) -> dict[str, RuleTrait]:
    """The trait of each audience."""
    return {name: RuleTrait(kind="rule", rule=one.rule) for name, one in audiences.items()}
