import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wayline.v1 import events_pb2 as _events_pb2
from wayline.v1 import profile_pb2 as _profile_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MergeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MERGE_STATUS_UNSPECIFIED: _ClassVar[MergeStatus]
    MERGE_STATUS_JOINED: _ClassVar[MergeStatus]
    MERGE_STATUS_REFUSED: _ClassVar[MergeStatus]
    MERGE_STATUS_SHARED: _ClassVar[MergeStatus]
    MERGE_STATUS_APART: _ClassVar[MergeStatus]
MERGE_STATUS_UNSPECIFIED: MergeStatus
MERGE_STATUS_JOINED: MergeStatus
MERGE_STATUS_REFUSED: MergeStatus
MERGE_STATUS_SHARED: MergeStatus
MERGE_STATUS_APART: MergeStatus

class ListMergesRequest(_message.Message):
    __slots__ = ("customer",)
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ...) -> None: ...

class ListMergesResponse(_message.Message):
    __slots__ = ("profile_id", "identifiers", "merges")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    MERGES_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identifiers: _containers.RepeatedCompositeFieldContainer[_events_pb2.Identifier]
    merges: _containers.RepeatedCompositeFieldContainer[Merge]
    def __init__(self, profile_id: _Optional[str] = ..., identifiers: _Optional[_Iterable[_Union[_events_pb2.Identifier, _Mapping]]] = ..., merges: _Optional[_Iterable[_Union[Merge, _Mapping]]] = ...) -> None: ...

class Merge(_message.Message):
    __slots__ = ("one", "other", "time", "message_id", "alias", "status", "reason", "ruled_at")
    ONE_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULED_AT_FIELD_NUMBER: _ClassVar[int]
    one: _events_pb2.Identifier
    other: _events_pb2.Identifier
    time: _timestamp_pb2.Timestamp
    message_id: str
    alias: bool
    status: MergeStatus
    reason: str
    ruled_at: _timestamp_pb2.Timestamp
    def __init__(self, one: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., other: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message_id: _Optional[str] = ..., alias: _Optional[bool] = ..., status: _Optional[_Union[MergeStatus, str]] = ..., reason: _Optional[str] = ..., ruled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UnmergeRequest(_message.Message):
    __slots__ = ("customer", "identifier")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    identifier: _events_pb2.Identifier
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., identifier: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ...) -> None: ...

class UnmergeResponse(_message.Message):
    __slots__ = ("profiles", "rulings")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    RULINGS_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Profile]
    rulings: int
    def __init__(self, profiles: _Optional[_Iterable[_Union[_profile_pb2.Profile, _Mapping]]] = ..., rulings: _Optional[int] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("customer", "identifier")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    identifier: _events_pb2.Identifier
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., identifier: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("profiles", "rulings")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    RULINGS_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[_profile_pb2.Profile]
    rulings: int
    def __init__(self, profiles: _Optional[_Iterable[_Union[_profile_pb2.Profile, _Mapping]]] = ..., rulings: _Optional[int] = ...) -> None: ...

class Cluster(_message.Message):
    __slots__ = ("nodes", "edges")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[ClusterNode]
    edges: _containers.RepeatedCompositeFieldContainer[ClusterEdge]
    def __init__(self, nodes: _Optional[_Iterable[_Union[ClusterNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[ClusterEdge, _Mapping]]] = ...) -> None: ...

class ClusterNode(_message.Message):
    __slots__ = ("key", "identifier", "strand", "shared")
    KEY_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    STRAND_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    identifier: _events_pb2.Identifier
    strand: bool
    shared: bool
    def __init__(self, key: _Optional[bytes] = ..., identifier: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., strand: _Optional[bool] = ..., shared: _Optional[bool] = ...) -> None: ...

class ClusterEdge(_message.Message):
    __slots__ = ("one", "other", "link", "ruling")
    ONE_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    RULING_FIELD_NUMBER: _ClassVar[int]
    one: bytes
    other: bytes
    link: ClusterLink
    ruling: ClusterRuling
    def __init__(self, one: _Optional[bytes] = ..., other: _Optional[bytes] = ..., link: _Optional[_Union[ClusterLink, _Mapping]] = ..., ruling: _Optional[_Union[ClusterRuling, _Mapping]] = ...) -> None: ...

class ClusterLink(_message.Message):
    __slots__ = ("timestamp_ms", "message_id", "alias")
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    timestamp_ms: int
    message_id: str
    alias: bool
    def __init__(self, timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ..., alias: _Optional[bool] = ...) -> None: ...

class ClusterRuling(_message.Message):
    __slots__ = ("apart", "timestamp_ms", "message_id")
    APART_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    apart: bool
    timestamp_ms: int
    message_id: str
    def __init__(self, apart: _Optional[bool] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...
