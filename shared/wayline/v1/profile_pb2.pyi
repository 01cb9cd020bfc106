import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wayline.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetProfileRequest(_message.Message):
    __slots__ = ("customer",)
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile", "values", "watermarks")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    values: _struct_pb2.Struct
    watermarks: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ..., values: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., watermarks: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ...) -> None: ...

class GetTimelineRequest(_message.Message):
    __slots__ = ("customer", "limit", "before")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    customer: _events_pb2.Identifier
    limit: int
    before: _timestamp_pb2.Timestamp
    def __init__(self, customer: _Optional[_Union[_events_pb2.Identifier, _Mapping]] = ..., limit: _Optional[int] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTimelineResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[TimelineEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[TimelineEntry, _Mapping]]] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("event", "token")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    event: _events_pb2.Event
    token: _events_pb2.EventToken
    def __init__(self, event: _Optional[_Union[_events_pb2.Event, _Mapping]] = ..., token: _Optional[_Union[_events_pb2.EventToken, _Mapping]] = ...) -> None: ...

class BatchGetViewsRequest(_message.Message):
    __slots__ = ("identity_keys",)
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, identity_keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class BatchGetViewsResponse(_message.Message):
    __slots__ = ("views", "watermarks")
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    views: _containers.RepeatedCompositeFieldContainer[CustomerView]
    watermarks: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    def __init__(self, views: _Optional[_Iterable[_Union[CustomerView, _Mapping]]] = ..., watermarks: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ...) -> None: ...

class GetStatisticsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatisticsResponse(_message.Message):
    __slots__ = ("profiles", "events_folded", "duplicates", "watermarks", "lag", "poison")
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FOLDED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    POISON_FIELD_NUMBER: _ClassVar[int]
    profiles: int
    events_folded: int
    duplicates: int
    watermarks: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    lag: int
    poison: int
    def __init__(self, profiles: _Optional[int] = ..., events_folded: _Optional[int] = ..., duplicates: _Optional[int] = ..., watermarks: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ..., lag: _Optional[int] = ..., poison: _Optional[int] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("profile_id", "identifiers", "attributes", "states", "consents", "first_seen_ms", "last_seen_ms", "event_count", "contacts", "timezone", "origin", "strands", "restricted", "global_privacy_control", "do_not_sell_or_share", "region")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Attribute
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Attribute, _Mapping]] = ...) -> None: ...
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: TraitState
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[TraitState, _Mapping]] = ...) -> None: ...
    class ConsentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ConsentState
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ConsentState, _Mapping]] = ...) -> None: ...
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    STRANDS_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_PRIVACY_CONTROL_FIELD_NUMBER: _ClassVar[int]
    DO_NOT_SELL_OR_SHARE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identifiers: _containers.RepeatedCompositeFieldContainer[_events_pb2.Identifier]
    attributes: _containers.MessageMap[str, Attribute]
    states: _containers.MessageMap[str, TraitState]
    consents: _containers.MessageMap[str, ConsentState]
    first_seen_ms: int
    last_seen_ms: int
    event_count: int
    contacts: _containers.RepeatedCompositeFieldContainer[ContactState]
    timezone: TimeZoneState
    origin: Origin
    strands: _containers.RepeatedScalarFieldContainer[bytes]
    restricted: Statement
    global_privacy_control: Statement
    do_not_sell_or_share: Statement
    region: RegionState
    def __init__(self, profile_id: _Optional[str] = ..., identifiers: _Optional[_Iterable[_Union[_events_pb2.Identifier, _Mapping]]] = ..., attributes: _Optional[_Mapping[str, Attribute]] = ..., states: _Optional[_Mapping[str, TraitState]] = ..., consents: _Optional[_Mapping[str, ConsentState]] = ..., first_seen_ms: _Optional[int] = ..., last_seen_ms: _Optional[int] = ..., event_count: _Optional[int] = ..., contacts: _Optional[_Iterable[_Union[ContactState, _Mapping]]] = ..., timezone: _Optional[_Union[TimeZoneState, _Mapping]] = ..., origin: _Optional[_Union[Origin, _Mapping]] = ..., strands: _Optional[_Iterable[bytes]] = ..., restricted: _Optional[_Union[Statement, _Mapping]] = ..., global_privacy_control: _Optional[_Union[Statement, _Mapping]] = ..., do_not_sell_or_share: _Optional[_Union[Statement, _Mapping]] = ..., region: _Optional[_Union[RegionState, _Mapping]] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("holds", "timestamp_ms", "message_id")
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    holds: bool
    timestamp_ms: int
    message_id: str
    def __init__(self, holds: _Optional[bool] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...

class RegionState(_message.Message):
    __slots__ = ("code", "timestamp_ms", "message_id")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    code: str
    timestamp_ms: int
    message_id: str
    def __init__(self, code: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...

class Contact(_message.Message):
    __slots__ = ("outcome", "action", "channel", "timestamp_ms", "decision_id")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    outcome: str
    action: str
    channel: str
    timestamp_ms: int
    decision_id: str
    def __init__(self, outcome: _Optional[str] = ..., action: _Optional[str] = ..., channel: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., decision_id: _Optional[str] = ...) -> None: ...

class ContactState(_message.Message):
    __slots__ = ("contact", "message_id")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    message_id: str
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ..., message_id: _Optional[str] = ...) -> None: ...

class TimeZoneState(_message.Message):
    __slots__ = ("name", "timestamp_ms", "message_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    timestamp_ms: int
    message_id: str
    def __init__(self, name: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...

class Origin(_message.Message):
    __slots__ = ("timestamp_ms", "message_id", "identity_key")
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEY_FIELD_NUMBER: _ClassVar[int]
    timestamp_ms: int
    message_id: str
    identity_key: bytes
    def __init__(self, timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ..., identity_key: _Optional[bytes] = ...) -> None: ...

class Attribute(_message.Message):
    __slots__ = ("value", "timestamp_ms", "message_id")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Value
    timestamp_ms: int
    message_id: str
    def __init__(self, value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...

class ConsentState(_message.Message):
    __slots__ = ("granted", "timestamp_ms", "message_id", "source", "text_version", "legal_basis")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEGAL_BASIS_FIELD_NUMBER: _ClassVar[int]
    granted: bool
    timestamp_ms: int
    message_id: str
    source: str
    text_version: str
    legal_basis: str
    def __init__(self, granted: _Optional[bool] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ..., source: _Optional[str] = ..., text_version: _Optional[str] = ..., legal_basis: _Optional[str] = ...) -> None: ...

class TraitState(_message.Message):
    __slots__ = ("total", "moment", "values", "affinity", "buckets", "extreme", "counts", "latest_ms", "decay")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MOMENT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    AFFINITY_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    EXTREME_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LATEST_MS_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    total: Total
    moment: Moment
    values: ValueSet
    affinity: Affinity
    buckets: Buckets
    extreme: Extreme
    counts: ValueCounts
    latest_ms: int
    decay: Decay
    def __init__(self, total: _Optional[_Union[Total, _Mapping]] = ..., moment: _Optional[_Union[Moment, _Mapping]] = ..., values: _Optional[_Union[ValueSet, _Mapping]] = ..., affinity: _Optional[_Union[Affinity, _Mapping]] = ..., buckets: _Optional[_Union[Buckets, _Mapping]] = ..., extreme: _Optional[_Union[Extreme, _Mapping]] = ..., counts: _Optional[_Union[ValueCounts, _Mapping]] = ..., latest_ms: _Optional[int] = ..., decay: _Optional[_Union[Decay, _Mapping]] = ...) -> None: ...

class Total(_message.Message):
    __slots__ = ("count", "sum", "rest")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    count: int
    sum: float
    rest: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, count: _Optional[int] = ..., sum: _Optional[float] = ..., rest: _Optional[_Iterable[float]] = ...) -> None: ...

class Extreme(_message.Message):
    __slots__ = ("extreme",)
    EXTREME_FIELD_NUMBER: _ClassVar[int]
    extreme: float
    def __init__(self, extreme: _Optional[float] = ...) -> None: ...

class ValueCounts(_message.Message):
    __slots__ = ("counts",)
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.ScalarMap[str, int]
    def __init__(self, counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Moment(_message.Message):
    __slots__ = ("value", "timestamp_ms", "message_id")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Value
    timestamp_ms: int
    message_id: str
    def __init__(self, value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., timestamp_ms: _Optional[int] = ..., message_id: _Optional[str] = ...) -> None: ...

class ValueSet(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Decay(_message.Message):
    __slots__ = ("buckets", "latest_ms")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    LATEST_MS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedCompositeFieldContainer[DecayBucket]
    latest_ms: int
    def __init__(self, buckets: _Optional[_Iterable[_Union[DecayBucket, _Mapping]]] = ..., latest_ms: _Optional[int] = ...) -> None: ...

class DecayBucket(_message.Message):
    __slots__ = ("index", "sums")
    class SumsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Total
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Total, _Mapping]] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    index: int
    sums: _containers.MessageMap[str, Total]
    def __init__(self, index: _Optional[int] = ..., sums: _Optional[_Mapping[str, Total]] = ...) -> None: ...

class Affinity(_message.Message):
    __slots__ = ("weights", "reference_ms")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_MS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.ScalarMap[str, float]
    reference_ms: int
    def __init__(self, weights: _Optional[_Mapping[str, float]] = ..., reference_ms: _Optional[int] = ...) -> None: ...

class Buckets(_message.Message):
    __slots__ = ("buckets",)
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedCompositeFieldContainer[Bucket]
    def __init__(self, buckets: _Optional[_Iterable[_Union[Bucket, _Mapping]]] = ...) -> None: ...

class Bucket(_message.Message):
    __slots__ = ("index", "count", "sum", "values", "rest", "extreme", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    EXTREME_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    count: int
    sum: float
    values: _containers.RepeatedScalarFieldContainer[str]
    rest: _containers.RepeatedScalarFieldContainer[float]
    extreme: float
    counts: _containers.ScalarMap[str, int]
    def __init__(self, index: _Optional[int] = ..., count: _Optional[int] = ..., sum: _Optional[float] = ..., values: _Optional[_Iterable[str]] = ..., rest: _Optional[_Iterable[float]] = ..., extreme: _Optional[float] = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class CustomerView(_message.Message):
    __slots__ = ("profile_id", "identity_keys", "version", "traits", "consents", "valid_until_ms", "contacts", "timezone", "lot", "restricted", "opted_out", "region")
    class ConsentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    LOT_FIELD_NUMBER: _ClassVar[int]
    RESTRICTED_FIELD_NUMBER: _ClassVar[int]
    OPTED_OUT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    version: int
    traits: bytes
    consents: _containers.ScalarMap[str, bool]
    valid_until_ms: int
    contacts: _containers.RepeatedCompositeFieldContainer[Contact]
    timezone: str
    lot: bytes
    restricted: bool
    opted_out: bool
    region: str
    def __init__(self, profile_id: _Optional[str] = ..., identity_keys: _Optional[_Iterable[bytes]] = ..., version: _Optional[int] = ..., traits: _Optional[bytes] = ..., consents: _Optional[_Mapping[str, bool]] = ..., valid_until_ms: _Optional[int] = ..., contacts: _Optional[_Iterable[_Union[Contact, _Mapping]]] = ..., timezone: _Optional[str] = ..., lot: _Optional[bytes] = ..., restricted: _Optional[bool] = ..., opted_out: _Optional[bool] = ..., region: _Optional[str] = ...) -> None: ...

class ViewUpdate(_message.Message):
    __slots__ = ("feed_id", "number", "views", "watermarks", "erased")
    FEED_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    feed_id: str
    number: int
    views: _containers.RepeatedCompositeFieldContainer[CustomerView]
    watermarks: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    erased: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, feed_id: _Optional[str] = ..., number: _Optional[int] = ..., views: _Optional[_Iterable[_Union[CustomerView, _Mapping]]] = ..., watermarks: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ..., erased: _Optional[_Iterable[bytes]] = ...) -> None: ...
