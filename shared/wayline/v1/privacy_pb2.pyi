import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wayline.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErasureState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERASURE_STATE_UNSPECIFIED: _ClassVar[ErasureState]
    ERASURE_STATE_REQUESTED: _ClassVar[ErasureState]
    ERASURE_STATE_REMOVING: _ClassVar[ErasureState]
    ERASURE_STATE_COMPACTING: _ClassVar[ErasureState]
    ERASURE_STATE_DONE: _ClassVar[ErasureState]
ERASURE_STATE_UNSPECIFIED: ErasureState
ERASURE_STATE_REQUESTED: ErasureState
ERASURE_STATE_REMOVING: ErasureState
ERASURE_STATE_COMPACTING: ErasureState
ERASURE_STATE_DONE: ErasureState

class ExportCustomerRequest(_message.Message):
    __slots__ = ("customer", "reason")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    reason: str
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ExportCustomerResponse(_message.Message):
    __slots__ = ("section", "items", "done", "total")
    SECTION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    section: str
    items: _containers.RepeatedScalarFieldContainer[str]
    done: int
    total: int
    def __init__(self, section: _Optional[str] = ..., items: _Optional[_Iterable[str]] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class EraseCustomerRequest(_message.Message):
    __slots__ = ("customer", "reason", "may_return")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MAY_RETURN_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    reason: str
    may_return: bool
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., reason: _Optional[str] = ..., may_return: _Optional[bool] = ...) -> None: ...

class EraseCustomerResponse(_message.Message):
    __slots__ = ("erasure_id", "no_profile")
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    NO_PROFILE_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    no_profile: bool
    def __init__(self, erasure_id: _Optional[str] = ..., no_profile: _Optional[bool] = ...) -> None: ...

class GetErasureRequest(_message.Message):
    __slots__ = ("erasure_id",)
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    def __init__(self, erasure_id: _Optional[str] = ...) -> None: ...

class GetErasureResponse(_message.Message):
    __slots__ = ("state", "done", "total", "receipt")
    STATE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    state: ErasureState
    done: int
    total: int
    receipt: str
    def __init__(self, state: _Optional[_Union[ErasureState, str]] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., receipt: _Optional[str] = ...) -> None: ...

class GetReceiptKeyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReceiptKeyResponse(_message.Message):
    __slots__ = ("public_key",)
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    public_key: str
    def __init__(self, public_key: _Optional[str] = ...) -> None: ...

class RestrictCustomerRequest(_message.Message):
    __slots__ = ("customer", "restricted", "reason")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    restricted: bool
    reason: str
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., restricted: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class RestrictCustomerResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: _events_pb2.EventToken
    def __init__(self, token: _Optional[_Union[_events_pb2.EventToken, _Mapping]] = ...) -> None: ...

class ReadmitIdentifiersRequest(_message.Message):
    __slots__ = ("identifiers", "reason")
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    identifiers: _containers.RepeatedCompositeFieldContainer[_events_pb2.Identifier]
    reason: str
    def __init__(self, identifiers: _Optional[_Iterable[_Union[_events_pb2.Identifier, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReadmitIdentifiersResponse(_message.Message):
    __slots__ = ("readmitted",)
    READMITTED_FIELD_NUMBER: _ClassVar[int]
    readmitted: int
    def __init__(self, readmitted: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("previous", "time", "actor", "action", "subject", "outcome", "reason", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    previous: bytes
    time: _timestamp_pb2.Timestamp
    actor: str
    action: str
    subject: str
    outcome: str
    reason: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, previous: _Optional[bytes] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., subject: _Optional[str] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ErasureRequest(_message.Message):
    __slots__ = ("erasure_id", "identity_keys", "profile_id", "requested_at", "may_return", "timeline_entries", "settled")
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    MAY_RETURN_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    profile_id: str
    requested_at: _timestamp_pb2.Timestamp
    may_return: bool
    timeline_entries: int
    settled: bool
    def __init__(self, erasure_id: _Optional[str] = ..., identity_keys: _Optional[_Iterable[bytes]] = ..., profile_id: _Optional[str] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., may_return: _Optional[bool] = ..., timeline_entries: _Optional[int] = ..., settled: _Optional[bool] = ...) -> None: ...

class PendingErasure(_message.Message):
    __slots__ = ("erasure_id", "identity_keys", "profile_ids", "folded_sequence", "streams", "state", "look_again_at")
    class StreamsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: StreamErasure
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[StreamErasure, _Mapping]] = ...) -> None: ...
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    FOLDED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOOK_AGAIN_AT_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    profile_ids: _containers.RepeatedScalarFieldContainer[str]
    folded_sequence: int
    streams: _containers.MessageMap[str, StreamErasure]
    state: ErasureState
    look_again_at: _timestamp_pb2.Timestamp
    def __init__(self, erasure_id: _Optional[str] = ..., identity_keys: _Optional[_Iterable[bytes]] = ..., profile_ids: _Optional[_Iterable[str]] = ..., folded_sequence: _Optional[int] = ..., streams: _Optional[_Mapping[str, StreamErasure]] = ..., state: _Optional[_Union[ErasureState, str]] = ..., look_again_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StreamErasure(_message.Message):
    __slots__ = ("cursor", "until", "removing", "removed", "count", "records")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REMOVING_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    until: int
    removing: _containers.RepeatedScalarFieldContainer[int]
    removed: _containers.RepeatedScalarFieldContainer[int]
    count: int
    records: int
    def __init__(self, cursor: _Optional[int] = ..., until: _Optional[int] = ..., removing: _Optional[_Iterable[int]] = ..., removed: _Optional[_Iterable[int]] = ..., count: _Optional[int] = ..., records: _Optional[int] = ...) -> None: ...
