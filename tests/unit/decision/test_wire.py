"""What is joined byte by byte, protobuf reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wayline.v1 import decision_pb2
from wayline_decision import wire


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_what_protobuf_reads(value: int) -> None:
    record = decision_pb2.DecisionRecord.FromString(wire.tag(decision_pb2.DecisionRecord, "seed") + wire.varint(value))
    assert record.seed == value
