from wayline.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QualityDelta(_message.Message):
    __slots__ = ("process_id", "number", "figures")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    number: int
    figures: _containers.RepeatedCompositeFieldContainer[QualityFigures]
    def __init__(self, process_id: _Optional[str] = ..., number: _Optional[int] = ..., figures: _Optional[_Iterable[_Union[QualityFigures, _Mapping]]] = ...) -> None: ...

class QualityFigures(_message.Message):
    __slots__ = ("source", "event", "type", "minute", "accepted", "duplicates", "refused", "without_consent", "stripped", "flagged", "unplanned", "unplanned_properties", "late", "skewed", "freshness", "without_device")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class WithoutConsentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class UnplannedPropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_CONSENT_FIELD_NUMBER: _ClassVar[int]
    STRIPPED_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    UNPLANNED_FIELD_NUMBER: _ClassVar[int]
    UNPLANNED_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    SKEWED_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_DEVICE_FIELD_NUMBER: _ClassVar[int]
    source: str
    event: str
    type: _events_pb2.EventType
    minute: int
    accepted: int
    duplicates: int
    refused: _containers.ScalarMap[str, int]
    without_consent: _containers.ScalarMap[str, int]
    stripped: int
    flagged: int
    unplanned: int
    unplanned_properties: _containers.ScalarMap[str, int]
    late: int
    skewed: int
    freshness: Freshness
    without_device: int
    def __init__(self, source: _Optional[str] = ..., event: _Optional[str] = ..., type: _Optional[_Union[_events_pb2.EventType, str]] = ..., minute: _Optional[int] = ..., accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., without_consent: _Optional[_Mapping[str, int]] = ..., stripped: _Optional[int] = ..., flagged: _Optional[int] = ..., unplanned: _Optional[int] = ..., unplanned_properties: _Optional[_Mapping[str, int]] = ..., late: _Optional[int] = ..., skewed: _Optional[int] = ..., freshness: _Optional[_Union[Freshness, _Mapping]] = ..., without_device: _Optional[int] = ...) -> None: ...

class Freshness(_message.Message):
    __slots__ = ("count", "sum_ms", "max_ms", "buckets")
    class BucketsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUM_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_MS_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    count: int
    sum_ms: int
    max_ms: int
    buckets: _containers.ScalarMap[int, int]
    def __init__(self, count: _Optional[int] = ..., sum_ms: _Optional[int] = ..., max_ms: _Optional[int] = ..., buckets: _Optional[_Mapping[int, int]] = ...) -> None: ...
