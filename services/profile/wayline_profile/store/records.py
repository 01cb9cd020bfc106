"""The kinds of records that a store keeps beside profiles. A key belongs to one kind; kinds share nothing."""

from __future__ import annotations

from wayline_profile.core.records import CLUSTER as CLUSTER
from wayline_profile.core.records import CLUSTER_OF as CLUSTER_OF
from wayline_profile.core.records import DISCARDED as DISCARDED
from wayline_profile.core.records import ERASURE as ERASURE
from wayline_profile.core.records import ERASURE_REQUEST as ERASURE_REQUEST
from wayline_profile.core.records import RECEIPT as RECEIPT
from wayline_profile.core.records import STRAND as STRAND
from wayline_profile.core.records import SUPPRESSED as SUPPRESSED

STANDING = "standing"
"""Profile id (16 bytes) to `Standing`: the customer's audiences and journey stage."""
DUE = "due"
"""Time in ms (8 bytes) and profile id to nothing: when customers are to be judged anew without an event."""
CHANGE = "change"
"""Time in µs (8 bytes), profile id and number (2 bytes) to `Change`: what is still to be published."""
JUDGING = "judging"
"""Empty key to `Judging`: how far all customers were judged by the catalogue in use."""
BACKFILL = "backfill"
"""'filled' to `FilledStates`, which states all customers have; 'walk' to `Walk`, how far the others were filled in;
'in_use' to the digest of the keys that are folded."""
