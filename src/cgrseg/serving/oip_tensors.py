"""Requests and responses of the Open Inference Protocol: JSON, optionally followed by binary tensors.

    body = JSON | tensor | tensor ...     (`Inference-Header-Content-Length` is the length of the JSON)

Axes: h w rows and columns of the image.
"""

import base64
import binascii
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from cgrseg.predictor import Segmentation
from cgrseg.serving import ServeConfig
from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.queue import Decode
from cgrseg.serving.request import decoder

LENGTH_HEADER = "Inference-Header-Content-Length"
OUTPUTS = ("labels", "confidence")
VERSION = "1"
"""The version of every model; the protocol requires one."""
MAX_JSON_VALUES, MAX_JSON_LISTS = 2**19, 2**16
"""Values, and lists and objects, in the JSON of a request. Parsing more would keep the process from everything else;
binary data has no limit of its own."""
MAX_AXES, MAX_AXIS = 4, 2**31 - 1
MAX_OUTPUTS = 16
"""Outputs that a request may list, before it is looked at whether they exist."""


class InputTensor(BaseModel):
    """An input tensor; its values are in `data`, or follow the JSON as bytes."""

    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, Field(ge=-MAX_AXIS, le=MAX_AXIS)]], Field(max_length=MAX_AXES)]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = None


class RequestedOutput(BaseModel):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """The JSON of a request to `infer`."""

    inputs: list[InputTensor]
    outputs: Annotated[list[RequestedOutput], Field(max_length=MAX_OUTPUTS)] = Field(default_factory=list)
    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class ParsedRequest:
    """An image to segment and the outputs to return."""

    decode: Decode
    outputs: tuple[tuple[str, bool], ...]
    """Names, each with whether its values are returned as bytes."""
    is_batch: bool
    """Whether the image has a batch axis of one; the outputs then have it, too."""
    id: str | None


@dataclass(frozen=True)
class InferResponse:
    """The body and headers of a response."""

    body: bytes
    headers: dict[str, str]


def parse_request(body: bytes, json_bytes: str | None, config: ServeConfig) -> ParsedRequest:
    """Parse the body of a request.

    Args:
        body: JSON, optionally followed by binary tensors.
        json_bytes: the value of the header `Inference-Header-Content-Length`, if present.
        config: the limits for the image.

    Raises:
        RequestError: the body does not follow the protocol, or names an unknown output.
    """
    length = _json_length(json_bytes, len(body))
    _require_small(body, length)
    try:
        infer_request = InferRequest.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the JSON"
        raise RequestError(f"{field}: {first['msg'][:300]}") from None
    if len(infer_request.inputs) != 1:
        advice = "give one: a UINT8 'image' or a BYTES 'encoded'"
        raise RequestError(f"{len(infer_request.inputs)} inputs", advice)
    tensor = infer_request.inputs[0]
    all_binary = infer_request.parameters.get("binary_data_output") is True
    outputs = tuple(
        (output.name, output.parameters.get("binary_data", all_binary) is True)
        for output in infer_request.outputs or [RequestedOutput(name="labels")]
    )
    unknown = [name for name, _ in outputs if name not in OUTPUTS]
    if unknown:
        advice = f"the outputs are {', '.join(OUTPUTS)}"
        raise RequestError(f"no output is called {unknown[0][:100]!r}", advice)
    repeated = [name for name, times in Counter(name for name, _ in outputs).items() if times > 1]
    if repeated:
        raise RequestError(f"output {repeated[0]!r} is asked for more than once", advice="ask for it once")
    if tensor.datatype not in READERS:
        advice = f"give {' or '.join(READERS)}"
        raise RequestError(f"no input has datatype {tensor.datatype[:50]!r}", advice)
    decode = READERS[tensor.datatype](tensor, _binary_data(tensor, body[length:]), config)
    return ParsedRequest(decode, outputs, len(tensor.shape) != 3, infer_request.id)


def build_response(result: Segmentation, request: ParsedRequest, model: str) -> InferResponse:
    """Encode the outputs that a request asks for."""
    arrays = {"labels": lambda: result.labels, "confidence": lambda: result.confidence}
    outputs, binary = [], []
    for name, is_binary in request.outputs:
        array = np.ascontiguousarray(arrays[name]()[None] if request.is_batch else arrays[name]())
        datatype = "FP32" if array.dtype == np.float32 else array.dtype.name.upper()
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if is_binary:
            binary.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    document = {"model_name": model, "model_version": VERSION, "outputs": outputs}
    header = json.dumps(document if request.id is None else document | {"id": request.id}).encode()
    if not binary:
        return InferResponse(header, {"Content-Type": "application/json"})
    headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(header))}
    return InferResponse(b"".join([header, *binary]), headers)


def _require_small(body: bytes, length: int) -> None:
    """Require JSON that is parsed quickly, going by its commas and brackets; those inside texts count, too."""
    values, lists = body.count(b",", 0, length), body.count(b"[", 0, length) + body.count(b"{", 0, length)
    if values >= MAX_JSON_VALUES or lists > MAX_JSON_LISTS:
        raise RequestError(
            f"the JSON has more than {MAX_JSON_VALUES:,} values or {MAX_JSON_LISTS:,} lists",
            advice="send the tensor as binary data after the JSON",
            status=413,
            kind="too_large",
        )


def _json_length(header: str | None, body_length: int) -> int:
    """The length of the JSON in bytes."""
    if header is None:
        return body_length
    if not (header.isascii() and header.isdigit() and len(header) < 12 and int(header) <= body_length):
        raise RequestError(f"{LENGTH_HEADER}: {header[:50]!r} does not fit a body of {body_length} bytes")
    return int(header)


def _binary_data(tensor: InputTensor, rest: bytes) -> bytes | None:
    """The binary values of an input from the bytes that follow the JSON; None if its values are in the JSON."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None:
            raise RequestError(f"input {tensor.name[:100]!r} has neither data nor binary_data_size")
        return None
    if size != len(rest) or tensor.data is not None:
        raise RequestError(f"binary_data_size says {str(size)[:50]}, and {len(rest)} bytes follow the JSON")
    return rest


def _read_pixels(tensor: InputTensor, binary: bytes | None, config: ServeConfig) -> Decode:
    """An image given as RGB values."""
    shape = tensor.shape[1:] if len(tensor.shape) == 4 and tensor.shape[0] == 1 else tensor.shape
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        problem = f"a UINT8 input of shape {str(tensor.shape)[:100]} is not an image"
        raise RequestError(problem, advice="give [1, h, w, 3] or [h, w, 3]")
    if shape[0] * shape[1] > config.pixels:
        problem = f"the image has more than {config.pixels:,} pixels"
        raise RequestError(problem, advice="shrink it or cut it", status=413, kind="too_large")
    if binary is not None:
        values = np.frombuffer(binary, np.uint8)
    else:
        values = _to_uint8(tensor.data or [])
    if values.size != math.prod(shape):
        raise RequestError(f"shape {shape} needs {math.prod(shape)} values; {values.size} came")
    image = values.reshape(shape)
    return lambda _: image


def _to_uint8(data: list[Any]) -> np.ndarray:
    """A flat uint8 array of the numbers in a list, nested or not."""
    flat = _flat(data)
    types = set(map(type, flat))
    if types != {int} or min(flat) < 0 or max(flat) > 255:
        raise RequestError("the data of a UINT8 input must be whole numbers from 0 to 255")
    return np.array(flat, np.uint8)


def _flat(data: list[Any]) -> list[Any]:
    """The innermost values of evenly nested lists.

    In Python, which lets other threads run meanwhile; NumPy would not, and would pad texts to the longest.
    """
    for _ in range(MAX_AXES):
        lengths = {len(item) if type(item) is list else None for item in data}
        if len(lengths) > 1:
            raise RequestError("the data is not an evenly nested list of numbers")
        if lengths <= {None}:
            return data
        data = [value for item in data for value in item]
    return data


def _read_encoded(tensor: InputTensor, binary: bytes | None, config: ServeConfig) -> Decode:
    """An encoded image: binary after the JSON, or Base64 in it."""
    if math.prod(tensor.shape) != 1 or len(tensor.shape) not in (1, 2):
        raise RequestError(f"a BYTES input of shape {str(tensor.shape)[:100]} is not one image", advice="give [1]")
    if binary is not None:
        files = list(islice(_elements(binary), 2))
    else:
        files = [_from_base64(text) for text in (tensor.data or [])[:2]]
    if len(files) != 1:
        raise RequestError(f"a BYTES input of shape [1] holds one image; {'more' if files else 'none'} came")
    return decoder(files[0], config)


def _elements(binary: bytes) -> Iterator[bytes]:
    """The byte strings of a BYTES tensor: each follows its length, 4 bytes, little-endian."""
    start = 0
    while start < len(binary):
        end = start + 4
        if end <= len(binary):
            end += struct.unpack_from("<I", binary, start)[0]
        if end > len(binary) or end < start + 4:
            raise RequestError("a length in the BYTES input reaches beyond its end")
        yield binary[start + 4 : end]
        start = end


def _from_base64(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(
            "the data of a BYTES input in JSON must be Base64 text", advice="or send it as binary data"
        ) from None


READERS: dict[str, Callable[[InputTensor, bytes | None, ServeConfig], Decode]] = {
    "UINT8": _read_pixels,
    "BYTES": _read_encoded,
}
