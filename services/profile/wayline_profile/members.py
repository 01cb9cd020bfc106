"""The members of an audience, for an export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from wayline.catalog.model import Catalog
from wayline.v1 import audiences_pb2, profile_pb2
from wayline_profile.core.standing import Standing
from wayline_profile.core.values import said_of
from wayline_profile.store import ProfileStore
from wayline_profile.store.records import STANDING

PART = 500


class Members(NamedTuple):
    """Whose members, and what of them."""

    store: ProfileStore
    catalog: Catalog
    audience: str
    identifier_kind: str
    """Empty: no identifiers."""
    purpose: str | None
    """Only members who allow it; None needs no consent."""

    async def parts(self) -> AsyncIterator[audiences_pb2.ExportAudienceResponse]:
        """The members by ascending profile id. Gives way between parts: changes meanwhile may be missed."""
        last, done, left_out = b"", 0, 0
        while page := self.store.scan(STANDING, after=last, at_most=PART):
            last = page[-1][0]
            since = {
                key.hex(): standing.audiences[self.audience]
                for key, standing in ((key, Standing.FromString(data)) for key, data in page)
                if self.audience in standing.audiences
            }
            profiles = self.store.get_many(since)
            members = [
                self._member(profiles[name], since[name]) for name in sorted(profiles) if self._may(profiles[name])
            ]
            done += len(profiles)
            left_out += len(profiles) - len(members)
            yield audiences_pb2.ExportAudienceResponse(members=members, done=done, left_out=left_out)
            await asyncio.sleep(0)

    def _may(self, profile: profile_pb2.Profile) -> bool:
        said = said_of(profile)
        # The audience's own purpose as well: under another catalogue not everybody may have been judged yet.
        own = self.catalog.audiences[self.audience].purpose
        return self.catalog.allows(self.purpose, said) and self.catalog.allows(own, said)

    def _member(self, profile: profile_pb2.Profile, since_ms: int) -> audiences_pb2.AudienceMember:
        member = audiences_pb2.AudienceMember(profile_id=profile.profile_id)
        member.since.FromMilliseconds(since_ms)
        member.identifiers.extend(one for one in profile.identifiers if one.kind == self.identifier_kind)
        return member
