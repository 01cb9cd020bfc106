import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from wayline.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetBackfillRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetBackfillResponse(_message.Message):
    __slots__ = ("traits", "running", "progress")
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    traits: _containers.RepeatedCompositeFieldContainer[TraitStatus]
    running: bool
    progress: BackfillProgress
    def __init__(self, traits: _Optional[_Iterable[_Union[TraitStatus, _Mapping]]] = ..., running: _Optional[bool] = ..., progress: _Optional[_Union[BackfillProgress, _Mapping]] = ...) -> None: ...

class TraitStatus(_message.Message):
    __slots__ = ("name", "state_key", "filled", "filled_at", "events_since")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_KEY_FIELD_NUMBER: _ClassVar[int]
    FILLED_FIELD_NUMBER: _ClassVar[int]
    FILLED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_SINCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    state_key: str
    filled: bool
    filled_at: _timestamp_pb2.Timestamp
    events_since: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., state_key: _Optional[str] = ..., filled: _Optional[bool] = ..., filled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., events_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BackfillProgress(_message.Message):
    __slots__ = ("traits", "strands", "strands_total", "events", "done", "started_at", "finished_at", "events_since", "events_per_second", "seconds_left")
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    STRANDS_FIELD_NUMBER: _ClassVar[int]
    STRANDS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_SINCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    traits: _containers.RepeatedScalarFieldContainer[str]
    strands: int
    strands_total: int
    events: int
    done: float
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    events_since: _timestamp_pb2.Timestamp
    events_per_second: float
    seconds_left: float
    def __init__(self, traits: _Optional[_Iterable[str]] = ..., strands: _Optional[int] = ..., strands_total: _Optional[int] = ..., events: _Optional[int] = ..., done: _Optional[float] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., events_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., events_per_second: _Optional[float] = ..., seconds_left: _Optional[float] = ...) -> None: ...

class FilledStates(_message.Message):
    __slots__ = ("states",)
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FilledState
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FilledState, _Mapping]] = ...) -> None: ...
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.MessageMap[str, FilledState]
    def __init__(self, states: _Optional[_Mapping[str, FilledState]] = ...) -> None: ...

class FilledState(_message.Message):
    __slots__ = ("filled_ms", "events_since_ms")
    FILLED_MS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    filled_ms: int
    events_since_ms: int
    def __init__(self, filled_ms: _Optional[int] = ..., events_since_ms: _Optional[int] = ...) -> None: ...

class Walk(_message.Message):
    __slots__ = ("declared", "states", "after", "strands", "events", "started_ms", "finished_ms", "events_since_ms", "open")
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    STRANDS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    declared: bytes
    states: _containers.RepeatedScalarFieldContainer[str]
    after: bytes
    strands: int
    events: int
    started_ms: int
    finished_ms: int
    events_since_ms: int
    open: OpenStrand
    def __init__(self, declared: _Optional[bytes] = ..., states: _Optional[_Iterable[str]] = ..., after: _Optional[bytes] = ..., strands: _Optional[int] = ..., events: _Optional[int] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ..., events_since_ms: _Optional[int] = ..., open: _Optional[_Union[OpenStrand, _Mapping]] = ...) -> None: ...

class OpenStrand(_message.Message):
    __slots__ = ("key", "up_to")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    up_to: _containers.RepeatedCompositeFieldContainer[_events_pb2.EventToken]
    def __init__(self, key: _Optional[bytes] = ..., up_to: _Optional[_Iterable[_Union[_events_pb2.EventToken, _Mapping]]] = ...) -> None: ...
