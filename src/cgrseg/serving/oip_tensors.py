"""Requests and answers of the Open Inference Protocol: JSON, and arrays behind it as they are in memory.

body -- JSON | array | array ...     (the JSON ends where `Inference-Header-Content-Length` says)

Axes: h w rows and columns of the image.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from cgrseg.predictor import Segmentation
from cgrseg.serving.http_errors import Refusal
from cgrseg.serving.request import decoder
from cgrseg.serving.settings import ServeConfig
from cgrseg.types import Image

LENGTH_HEADER = "Inference-Header-Content-Length"
OUTPUTS = ("labels", "confidence")
VERSION = "1"
"""Of every model: the protocol wants one."""


class Tensor(BaseModel):
    """An input: its shape and its numbers, unless they come behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = None


class Wanted(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """What comes to `infer`."""

    inputs: list[Tensor]
    outputs: list[Wanted] = Field(default_factory=list)
    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """An image to segment, and how the answer shall look."""

    decode: Callable[[], Image]
    outputs: tuple[tuple[str, bool], ...]
    """Names, each with whether it comes as bytes."""
    is_batch: bool
    """Whether the image came in a batch of one; the outputs then do, too."""
    id: str | None


@dataclass(frozen=True)
class Reply:
    """A body and its headers."""

    body: bytes
    headers: dict[str, str]


def read_question(body: bytes, json_bytes: str | None, config: ServeConfig) -> Question:
    """The question in the body of a request.

    Args:
        body: JSON, and arrays behind it.
        json_bytes: the header that tells them apart, if there is one.
        config: its limits hold for the image.

    Raises:
        Refusal: it is not as the protocol has it, or asks for what there is not.
    """
    length = _length(json_bytes, len(body))
    try:
        asked = InferRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _wrong(f"{'.'.join(map(str, first['loc'])) or 'the JSON'}: {first['msg'][:300]}") from None
    if len(asked.inputs) != 1:
        raise _wrong(f"{len(asked.inputs)} inputs; give one: a UINT8 'image' or a BYTES 'encoded'")
    tensor = asked.inputs[0]
    all_binary = asked.parameters.get("binary_data_output") is True
    outputs = tuple(
        (output.name, output.parameters.get("binary_data", all_binary) is True)
        for output in asked.outputs or [Wanted(name="labels")]
    )
    unknown = [name for name, _ in outputs if name not in OUTPUTS]
    if unknown:
        raise _wrong(f"no output is called {unknown[0][:100]!r}; the outputs are {', '.join(OUTPUTS)}")
    decode = READERS.get(tensor.datatype, _refuse_type)(tensor, _behind(tensor, body[length:]), config)
    return Question(decode, outputs, len(tensor.shape) != 3, asked.id)


def reply(result: Segmentation, question: Question, model: str) -> Reply:
    """The outputs that a question wants."""
    arrays = {"labels": lambda: result.labels, "confidence": lambda: result.confidence}
    outputs, behind = [], []
    for name, is_binary in question.outputs:
        array = np.ascontiguousarray(arrays[name]()[None] if question.is_batch else arrays[name]())
        datatype = "FP32" if array.dtype == np.float32 else array.dtype.name.upper()
        told: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if is_binary:
            behind.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            told["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            told["data"] = array.ravel().tolist()
        outputs.append(told)
    answer = {"model_name": model, "model_version": VERSION, "outputs": outputs}
    header = json.dumps(answer if question.id is None else answer | {"id": question.id}).encode()
    if not behind:
        return Reply(header, {"Content-Type": "application/json"})
    headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(header))}
    return Reply(b"".join([header, *behind]), headers)


def _length(given: str | None, whole: int) -> int:
    """Where the JSON ends."""
    if given is None:
        return whole
    if not (given.isascii() and given.isdigit() and len(given) < 12 and int(given) <= whole):
        raise _wrong(f"{LENGTH_HEADER}: {given[:50]!r} does not fit a body of {whole} bytes")
    return int(given)


def _behind(tensor: Tensor, rest: bytes) -> bytes | None:
    """The bytes of an input behind the JSON, if it has them there."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None:
            raise _wrong(f"input {tensor.name[:100]!r} has neither data nor binary_data_size")
        return None
    if size != len(rest) or tensor.data is not None:
        raise _wrong(f"binary_data_size says {str(size)[:50]}, and {len(rest)} bytes follow the JSON")
    return rest


def _read_pixels(tensor: Tensor, behind: bytes | None, config: ServeConfig) -> Callable[[], Image]:
    """An image as its numbers."""
    shape = tensor.shape[1:] if len(tensor.shape) == 4 and tensor.shape[0] == 1 else tensor.shape
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        raise _wrong(f"a UINT8 input of shape {str(tensor.shape)[:100]} is no image; give [1, h, w, 3] or [h, w, 3]")
    if shape[0] * shape[1] > config.pixels:
        raise Refusal(413, "too_large", f"the image has more than {config.pixels:,} pixels; shrink it or cut it")
    if behind is not None:
        values = np.frombuffer(behind, np.uint8)
    else:
        values = _bytes_in(tensor.data or [])
    if values.size != math.prod(shape):
        raise _wrong(f"shape {shape} needs {math.prod(shape)} values; {values.size} came")
    image = values.reshape(shape)
    return lambda: image


def _bytes_in(data: list[Any]) -> np.ndarray:
    """The numbers of a list, nested or not."""
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError):
        raise _wrong("the data is no list of numbers, nor one that is evenly nested") from None
    if values.dtype.kind not in "iu" or values.size == 0 or values.min() < 0 or values.max() > 255:
        raise _wrong("the data of a UINT8 input is whole numbers from 0 to 255")
    return values.astype(np.uint8).ravel()


def _read_encoded(tensor: Tensor, behind: bytes | None, config: ServeConfig) -> "partial[Image]":
    """An image as a file: as it is behind the JSON, or in Base64 in it."""
    if math.prod(tensor.shape) != 1 or len(tensor.shape) not in (1, 2):
        raise _wrong(f"a BYTES input of shape {str(tensor.shape)[:100]} is not one image; give [1]")
    files = list(_elements(behind)) if behind is not None else [_from_base64(each) for each in tensor.data or []]
    if len(files) != 1:
        raise _wrong(f"a BYTES input of shape [1] holds one image; {len(files)} came")
    return decoder(files[0], config)


def _elements(behind: bytes) -> Iterator[bytes]:
    """The byte strings of a BYTES tensor: each behind its length, 4 bytes, lowest first."""
    start = 0
    while start < len(behind):
        end = start + 4
        if end <= len(behind):
            end += struct.unpack_from("<I", behind, start)[0]
        if end > len(behind) or end < start + 4:
            raise _wrong("a length in the BYTES input reaches beyond its end")
        yield behind[start + 4 : end]
        start = end


def _from_base64(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("the data of a BYTES input in JSON is Base64 text; or send it as binary data") from None


def _refuse_type(tensor: Tensor, behind: bytes | None, config: ServeConfig) -> Callable[[], Image]:  # noqa: ARG001
    raise _wrong(f"no input has datatype {tensor.datatype[:50]!r}; give {' or '.join(READERS)}")


def _wrong(sentence: str) -> Refusal:
    return Refusal(400, "request", sentence)


READERS: dict[str, Callable[[Tensor, bytes | None, ServeConfig], Callable[[], Image]]] = {
    "UINT8": _read_pixels,
    "BYTES": _read_encoded,
}
