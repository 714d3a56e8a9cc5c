"""Models of ours as values of 10.x models, and back: the same fields, with tensors as ``{buffer, dtype, shape}``.

There a tensor's element type is named as numpy does, or as torch does where the process runs with ``USE_TORCH=1``, and
either kind of process refuses the other's names. So a message uses one kind, and an answer the kind of its request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python

from ranvier.protocol.buffers import BufferSource, carries_buffers
from ranvier.protocol.legacy.arrays import pack_array, unpack_array
from ranvier.protocol.tensor import Tensor

M = TypeVar("M", bound=BaseModel)

TORCH: Final = "torch."
_MEMBERS: Final = frozenset({"buffer", "dtype", "shape"})
_OURS: Final = frozenset({"data", "dtype", "shape"})


def plain_values(model: BaseModel, *, torch: bool) -> dict[str, Any]:
    """The fields as Python values, as ``model_dump()`` of the 10.x class has them: what it hashes.

    Raises ValueError for a tensor that 10.x cannot hold.
    """
    values = model.model_dump()
    if not carries_buffers(type(model)):
        return values
    return {name: _plain(value, torch=torch) for name, value in values.items()}


def json_values(model: BaseModel, *, torch: bool) -> dict[str, Any]:
    """The fields as JSON has them. Raises ValueError for a tensor that 10.x cannot hold."""
    if not carries_buffers(type(model)):
        return model.model_dump(mode="json")
    found: dict[str, Any] = to_jsonable_python(plain_values(model, torch=torch), bytes_mode="base64")
    return found


def read_values(model: type[M], content: Mapping[str, Any]) -> tuple[M, bool | None]:
    """The model of its own fields in ``content``, and whether its tensors had torch's names: None without tensors.

    Whatever else is in ``content`` is left out. Raises ValueError (of pydantic: ``ValidationError``).
    """
    own = {name: content[name] for name in model.model_fields if name in content}
    if not carries_buffers(model):
        return model.model_validate_json(to_json(own)), None
    found = _Found()
    whole = to_json(found.taken_from(own))
    source = BufferSource([tensor.data for tensor in found.tensors])
    value = model.model_validate_json(whole, context=source)
    if source.untaken:
        raise ValueError("a tensor stands where none is declared")
    return value, found.torch


def tensor_object(tensor: Tensor, *, torch: bool) -> dict[str, Any]:
    """A tensor as 10.x writes it; one without dimensions is of shape [0] there. Raises ValueError."""
    return {
        "buffer": base64.b64encode(pack_array(tensor)).decode(),
        "dtype": TORCH + tensor.dtype if torch else tensor.dtype,
        "shape": list(tensor.shape) or [0],
    }


def read_tensor_object(value: Mapping[str, Any]) -> tuple[Tensor, bool]:
    """A tensor, and whether its type had torch's name. Raises ValueError where what it says of itself differs."""
    buffer, dtype = value["buffer"], value["dtype"]
    try:
        tensor = unpack_array(base64.b64decode(buffer if isinstance(buffer, str) else "", validate=True))
    except binascii.Error as error:
        raise ValueError("a tensor's buffer is base64") from error
    # As Python writes them, because to it 1, 1.0 and True are the same.
    shape = repr(list(tensor.shape) or [0])
    if dtype not in (tensor.dtype, TORCH + tensor.dtype) or repr(value["shape"]) != shape:
        raise ValueError("a tensor's dtype or shape is not that of its buffer")
    return tensor, dtype != tensor.dtype


def _plain(value: Any, *, torch: bool) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("data"), memoryview):  # how a dump in Python shows tensors and blobs
            return _buffer(value, torch=torch)
        return {key: _plain(item, torch=torch) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, torch=torch) for item in value)
    return value


def _buffer(value: dict[str, Any], *, torch: bool) -> Any:
    if value.keys() == _OURS:
        return tensor_object(Tensor(**value), torch=torch)
    return base64.b64encode(value["data"]).decode()


class _Found:
    """The tensors of one message, taken out of its JSON."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.torch: bool | None = None

    def taken_from(self, value: Any) -> Any:
        """The same JSON with each tensor's number in place of its bytes: what the fields of a frame look like."""
        if isinstance(value, dict):
            if value.keys() == _MEMBERS:
                return self._numbered(value)
            return {key: self.taken_from(item) for key, item in value.items()}
        return [self.taken_from(item) for item in value] if isinstance(value, list) else value

    def _numbered(self, value: dict[str, Any]) -> dict[str, Any]:
        tensor, torch = read_tensor_object(value)
        if self.torch not in (None, torch):
            raise ValueError("a message names element types either as numpy or as torch")
        self.torch = torch
        self.tensors.append(tensor)
        return {"dtype": tensor.dtype, "shape": tensor.shape, "buffer": len(self.tensors) - 1}
