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

class ChangeCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_CAUSE_UNSPECIFIED: _ClassVar[ChangeCause]
    CHANGE_CAUSE_EVENT: _ClassVar[ChangeCause]
    CHANGE_CAUSE_TIME: _ClassVar[ChangeCause]
    CHANGE_CAUSE_CATALOG: _ClassVar[ChangeCause]
    CHANGE_CAUSE_IDENTITY: _ClassVar[ChangeCause]

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_ENTERED: _ClassVar[ChangeKind]
    CHANGE_KIND_EXITED: _ClassVar[ChangeKind]
    CHANGE_KIND_STAGE: _ClassVar[ChangeKind]
CHANGE_CAUSE_UNSPECIFIED: ChangeCause
CHANGE_CAUSE_EVENT: ChangeCause
CHANGE_CAUSE_TIME: ChangeCause
CHANGE_CAUSE_CATALOG: ChangeCause
CHANGE_CAUSE_IDENTITY: ChangeCause
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_ENTERED: ChangeKind
CHANGE_KIND_EXITED: ChangeKind
CHANGE_KIND_STAGE: ChangeKind

class ListAudiencesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAudiencesResponse(_message.Message):
    __slots__ = ("audiences", "profiles", "counted_at")
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    COUNTED_AT_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.RepeatedCompositeFieldContainer[AudienceSummary]
    profiles: int
    counted_at: _timestamp_pb2.Timestamp
    def __init__(self, audiences: _Optional[_Iterable[_Union[AudienceSummary, _Mapping]]] = ..., profiles: _Optional[int] = ..., counted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AudienceSummary(_message.Message):
    __slots__ = ("name", "rule", "description", "because", "members", "purpose")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    rule: str
    description: str
    because: str
    members: int
    purpose: str
    def __init__(self, name: _Optional[str] = ..., rule: _Optional[str] = ..., description: _Optional[str] = ..., because: _Optional[str] = ..., members: _Optional[int] = ..., purpose: _Optional[str] = ...) -> None: ...

class CountAudienceRequest(_message.Message):
    __slots__ = ("audience",)
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    audience: str
    def __init__(self, audience: _Optional[str] = ...) -> None: ...

class CountAudienceResponse(_message.Message):
    __slots__ = ("members", "profiles", "counted_at")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    COUNTED_AT_FIELD_NUMBER: _ClassVar[int]
    members: int
    profiles: int
    counted_at: _timestamp_pb2.Timestamp
    def __init__(self, members: _Optional[int] = ..., profiles: _Optional[int] = ..., counted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PreviewAudienceRequest(_message.Message):
    __slots__ = ("audience", "rule", "sample", "profile_ids")
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    audience: str
    rule: str
    sample: int
    profile_ids: int
    def __init__(self, audience: _Optional[str] = ..., rule: _Optional[str] = ..., sample: _Optional[int] = ..., profile_ids: _Optional[int] = ...) -> None: ...

class PreviewAudienceResponse(_message.Message):
    __slots__ = ("judged", "matched", "profiles", "estimate", "estimate_low", "estimate_high", "profile_ids")
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_LOW_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_HIGH_FIELD_NUMBER: _ClassVar[int]
    PROFILE_IDS_FIELD_NUMBER: _ClassVar[int]
    judged: int
    matched: int
    profiles: int
    estimate: int
    estimate_low: int
    estimate_high: int
    profile_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, judged: _Optional[int] = ..., matched: _Optional[int] = ..., profiles: _Optional[int] = ..., estimate: _Optional[int] = ..., estimate_low: _Optional[int] = ..., estimate_high: _Optional[int] = ..., profile_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportAudienceRequest(_message.Message):
    __slots__ = ("audience", "identifier_kind", "purpose")
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_KIND_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    audience: str
    identifier_kind: str
    purpose: str
    def __init__(self, audience: _Optional[str] = ..., identifier_kind: _Optional[str] = ..., purpose: _Optional[str] = ...) -> None: ...

class ExportAudienceResponse(_message.Message):
    __slots__ = ("members", "total", "done", "left_out")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[AudienceMember]
    total: int
    done: int
    left_out: int
    def __init__(self, members: _Optional[_Iterable[_Union[AudienceMember, _Mapping]]] = ..., total: _Optional[int] = ..., done: _Optional[int] = ..., left_out: _Optional[int] = ...) -> None: ...

class AudienceMember(_message.Message):
    __slots__ = ("profile_id", "since", "identifiers")
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIERS_FIELD_NUMBER: _ClassVar[int]
    profile_id: str
    since: _timestamp_pb2.Timestamp
    identifiers: _containers.RepeatedCompositeFieldContainer[_events_pb2.Identifier]
    def __init__(self, profile_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., identifiers: _Optional[_Iterable[_Union[_events_pb2.Identifier, _Mapping]]] = ...) -> None: ...

class GetStagesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStagesResponse(_message.Message):
    __slots__ = ("stages", "profiles", "counted_at")
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    COUNTED_AT_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedCompositeFieldContainer[StageSummary]
    profiles: int
    counted_at: _timestamp_pb2.Timestamp
    def __init__(self, stages: _Optional[_Iterable[_Union[StageSummary, _Mapping]]] = ..., profiles: _Optional[int] = ..., counted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StageSummary(_message.Message):
    __slots__ = ("stage", "rule", "because", "customers")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    rule: str
    because: str
    customers: int
    def __init__(self, stage: _Optional[str] = ..., rule: _Optional[str] = ..., because: _Optional[str] = ..., customers: _Optional[int] = ...) -> None: ...

class GetAudienceStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAudienceStatusResponse(_message.Message):
    __slots__ = ("judging", "judged", "profiles", "due", "unpublished")
    JUDGING_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    UNPUBLISHED_FIELD_NUMBER: _ClassVar[int]
    judging: bool
    judged: int
    profiles: int
    due: int
    unpublished: int
    def __init__(self, judging: _Optional[bool] = ..., judged: _Optional[int] = ..., profiles: _Optional[int] = ..., due: _Optional[int] = ..., unpublished: _Optional[int] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("audiences", "stage", "stage_since_ms", "due_ms", "told_us")
    class AudiencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STAGE_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    DUE_MS_FIELD_NUMBER: _ClassVar[int]
    TOLD_US_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.ScalarMap[str, int]
    stage: str
    stage_since_ms: int
    due_ms: int
    told_us: int
    def __init__(self, audiences: _Optional[_Mapping[str, int]] = ..., stage: _Optional[str] = ..., stage_since_ms: _Optional[int] = ..., due_ms: _Optional[int] = ..., told_us: _Optional[int] = ...) -> None: ...

class Judging(_message.Message):
    __slots__ = ("fingerprint", "after", "judged", "done")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    fingerprint: bytes
    after: str
    judged: int
    done: bool
    def __init__(self, fingerprint: _Optional[bytes] = ..., after: _Optional[str] = ..., judged: _Optional[int] = ..., done: _Optional[bool] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("change_id", "profile_id", "identity_keys", "kind", "cause", "at", "audience", "from_stage", "to_stage", "seconds", "since", "successor_id", "allowed_purposes")
    CHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_KEYS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    FROM_STAGE_FIELD_NUMBER: _ClassVar[int]
    TO_STAGE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    SUCCESSOR_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_PURPOSES_FIELD_NUMBER: _ClassVar[int]
    change_id: str
    profile_id: str
    identity_keys: _containers.RepeatedScalarFieldContainer[bytes]
    kind: ChangeKind
    cause: ChangeCause
    at: _timestamp_pb2.Timestamp
    audience: str
    from_stage: str
    to_stage: str
    seconds: int
    since: _timestamp_pb2.Timestamp
    successor_id: str
    allowed_purposes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, change_id: _Optional[str] = ..., profile_id: _Optional[str] = ..., identity_keys: _Optional[_Iterable[bytes]] = ..., kind: _Optional[_Union[ChangeKind, str]] = ..., cause: _Optional[_Union[ChangeCause, str]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., audience: _Optional[str] = ..., from_stage: _Optional[str] = ..., to_stage: _Optional[str] = ..., seconds: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., successor_id: _Optional[str] = ..., allowed_purposes: _Optional[_Iterable[str]] = ...) -> None: ...
