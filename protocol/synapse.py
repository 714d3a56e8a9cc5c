"""Synapse: one kind of request, with its reply nested in it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ranvier.protocol.text import MAX_VALUES


class Reply(BaseModel):
    """Base of replies: immutable, unknown fields refused, no NaN or infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_bytes="base64", val_json_bytes="base64"
    )


class Synapse(BaseModel):
    """Base of requests: immutable, unknown fields refused. A subclass nests its own ``Reply``.

    The class name is the path on the wire: ``class Echo(Synapse)`` is served at ``POST /Echo``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_bytes="base64", val_json_bytes="base64"
    )

    Reply: ClassVar[type[Any]] = Reply
    max_reply: ClassVar[int] = 1 << 20
    """Bytes of a reply, unpacked, that a dendrite reads. Declare more where replies are pictures or large tensors."""
    max_values: ClassVar[int] = MAX_VALUES
    """JSON values of a request, and of a reply, that are read: half a kilobyte of memory each, for a moment. Declare
    more where a reply is thousands of numbers and cannot be a `Tensor`.
    """
    required_hash_fields: ClassVar[tuple[str, ...]] = ()
    """For the 10.x wire alone: fields whose hash it signs. Ours signs the whole body."""
    legacy_torch: ClassVar[bool] = False
    """For the 10.x wire alone: its neurons run with ``USE_TORCH=1``, where element types have torch's names."""

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        unknown = [name for name in cls.required_hash_fields if name not in cls.model_fields]
        if unknown:
            raise TypeError(
                f"required_hash_fields of {cls.__name__} names {unknown}, which are not its fields"
            )

    @classmethod
    def route(cls) -> str:
        """The path on the wire."""
        return f"/{cls.__name__}"
