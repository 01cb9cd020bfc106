import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_IDENTIFY: _ClassVar[EventType]
    EVENT_TYPE_TRACK: _ClassVar[EventType]
    EVENT_TYPE_PAGE: _ClassVar[EventType]
    EVENT_TYPE_SCREEN: _ClassVar[EventType]
    EVENT_TYPE_GROUP: _ClassVar[EventType]
    EVENT_TYPE_ALIAS: _ClassVar[EventType]
    EVENT_TYPE_RULING: _ClassVar[EventType]
    EVENT_TYPE_ERASURE: _ClassVar[EventType]
    EVENT_TYPE_RESTRICTION: _ClassVar[EventType]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_IDENTIFY: EventType
EVENT_TYPE_TRACK: EventType
EVENT_TYPE_PAGE: EventType
EVENT_TYPE_SCREEN: EventType
EVENT_TYPE_GROUP: EventType
EVENT_TYPE_ALIAS: EventType
EVENT_TYPE_RULING: EventType
EVENT_TYPE_ERASURE: EventType
EVENT_TYPE_RESTRICTION: EventType

class Identifier(_message.Message):
    __slots__ = ("kind", "value")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    value: str
    def __init__(self, kind: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Consent(_message.Message):
    __slots__ = ("category_preferences", "source", "text_version", "legal_bases", "global_privacy_control", "do_not_sell_or_share")
    class CategoryPreferencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    class LegalBasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CATEGORY_PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASES_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_PRIVACY_CONTROL_FIELD_NUMBER: _ClassVar[int]
    DO_NOT_SELL_OR_SHARE_FIELD_NUMBER: _ClassVar[int]
    category_preferences: _containers.ScalarMap[str, bool]
    source: str
    text_version: str
    legal_bases: _containers.ScalarMap[str, str]
    global_privacy_control: bool
    do_not_sell_or_share: bool
    def __init__(self, category_preferences: _Optional[_Mapping[str, bool]] = ..., source: _Optional[str] = ..., text_version: _Optional[str] = ..., legal_bases: _Optional[_Mapping[str, str]] = ..., global_privacy_control: _Optional[bool] = ..., do_not_sell_or_share: _Optional[bool] = ...) -> None: ...

class EventContext(_message.Message):
    __slots__ = ("consent", "locale", "timezone", "channel", "region", "other")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    consent: Consent
    locale: str
    timezone: str
    channel: str
    region: str
    other: _struct_pb2.Struct
    def __init__(self, consent: _Optional[_Union[Consent, _Mapping]] = ..., locale: _Optional[str] = ..., timezone: _Optional[str] = ..., channel: _Optional[str] = ..., region: _Optional[str] = ..., other: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("message_id", "type", "anonymous_id", "user_id", "previous_id", "group_id", "name", "properties", "traits", "context", "timestamp", "sent_at", "received_at", "source", "identifiers", "original_timestamp", "violations", "ruling", "erasure", "restriction")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ANONYMOUS_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    RULING_FIELD_NUMBER: _ClassVar[int]
    ERASURE_FIELD_NUMBER: _ClassVar[int]
    RESTRICTION_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    type: EventType
    anonymous_id: str
    user_id: str
    previous_id: str
    group_id: str
    name: str
    properties: _struct_pb2.Struct
    traits: _struct_pb2.Struct
    context: EventContext
    timestamp: _timestamp_pb2.Timestamp
    sent_at: _timestamp_pb2.Timestamp
    received_at: _timestamp_pb2.Timestamp
    source: str
    identifiers: _containers.RepeatedCompositeFieldContainer[Identifier]
    original_timestamp: _timestamp_pb2.Timestamp
    violations: _containers.RepeatedScalarFieldContainer[str]
    ruling: Ruling
    erasure: Erasure
    restriction: Restriction
    def __init__(self, message_id: _Optional[str] = ..., type: _Optional[_Union[EventType, str]] = ..., anonymous_id: _Optional[str] = ..., user_id: _Optional[str] = ..., previous_id: _Optional[str] = ..., group_id: _Optional[str] = ..., name: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., traits: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., context: _Optional[_Union[EventContext, _Mapping]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., identifiers: _Optional[_Iterable[_Union[Identifier, _Mapping]]] = ..., original_timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., violations: _Optional[_Iterable[str]] = ..., ruling: _Optional[_Union[Ruling, _Mapping]] = ..., erasure: _Optional[_Union[Erasure, _Mapping]] = ..., restriction: _Optional[_Union[Restriction, _Mapping]] = ...) -> None: ...

class Ruling(_message.Message):
    __slots__ = ("one", "other", "apart")
    ONE_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    APART_FIELD_NUMBER: _ClassVar[int]
    one: bytes
    other: bytes
    apart: bool
    def __init__(self, one: _Optional[bytes] = ..., other: _Optional[bytes] = ..., apart: _Optional[bool] = ...) -> None: ...

class Erasure(_message.Message):
    __slots__ = ("erasure_id", "identity_keys", "received_until_ms", "readmits_since_ms")
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    READMITS_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    erasure_id: str
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    received_until_ms: int
    readmits_since_ms: int
    def __init__(self, erasure_id: _Optional[str] = ..., identity_keys: _Optional[_Iterable[bytes]] = ..., received_until_ms: _Optional[int] = ..., readmits_since_ms: _Optional[int] = ...) -> None: ...

class Restriction(_message.Message):
    __slots__ = ("identity_key", "restricted")
    IDENTITY_KEY_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    identity_key: bytes
    restricted: bool
    def __init__(self, identity_key: _Optional[bytes] = ..., restricted: _Optional[bool] = ...) -> None: ...

class EventToken(_message.Message):
    __slots__ = ("partition", "sequence")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    partition: int
    sequence: int
    def __init__(self, partition: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...
