"""Picture -> label map, on any engine and by any protocol."""

from cgrseg.inference.evidence import Evidence, infer, prepare
from cgrseg.inference.protocol import Protocol, ProtocolName, choose_protocol
from cgrseg.inference.sights import infer_parts

__all__ = ["Evidence", "Protocol", "ProtocolName", "choose_protocol", "infer", "infer_parts", "prepare"]
