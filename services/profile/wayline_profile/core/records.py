"""The kinds of records that the core itself writes; see `wayline_profile.store.records` for all."""

from __future__ import annotations

STRAND = "strand"
"""Identity key to `Profile`: what the events filed under one identifier of a merged customer say."""
CLUSTER = "cluster"
"""The least identity key of a cluster to `Cluster`: identifiers that events have linked with each other."""
CLUSTER_OF = "cluster_of"
"""Identity key to the key of its cluster, for identifiers that were linked, or ruled about."""
SUPPRESSED = "suppressed"
"""Identity key to three times in ms since 1970, 24 bytes, by which events of this identifier are left out; see
`erasure.Bar`."""
DISCARDED = "discarded"
"""Sequence in the event stream, 8 bytes, to nothing: an event of an erased customer that is to be deleted there."""
ERASURE = "erasure"
"""The erasure's id to `PendingErasure`: what is still to be done for it."""
ERASURE_REQUEST = "erasure_request"
"""The erasure's id to `ErasureRequest`: somebody asked for it, and it is not done yet."""
RECEIPT = "receipt"
"""The erasure's id to its signed receipt, as JSON in UTF-8."""
