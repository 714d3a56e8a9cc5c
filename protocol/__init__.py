"""The wire between neurons: signed requests, signed replies, and a door that fails closed.

>>> class Echo(Synapse):
...     text: str
...     class Reply(Reply):
...         text: str
>>> Echo.route()
'/Echo'
"""

from __future__ import annotations

from ranvier.protocol.addresses import AddressPolicy
from ranvier.protocol.axon import Axon
from ranvier.protocol.caller import Caller, Standing, Target
from ranvier.protocol.codes import Code
from ranvier.protocol.dendrite import Dendrite
from ranvier.protocol.door import Door
from ranvier.protocol.errors import HandlerUnfit, InvalidReply, ProtocolError, Refusal, SigningError
from ranvier.protocol.handlers import Answering, Handler, whole
from ranvier.protocol.job import Job
from ranvier.protocol.keys import Keypair, keypair_from_uri
from ranvier.protocol.limits import Limits
from ranvier.protocol.load import Load
from ranvier.protocol.nonces import NonceClock, ReplayGuard
from ranvier.protocol.outcome import Answered, Invalid, Outcome, Refused, TimedOut, Unreachable
from ranvier.protocol.synapse import Reply, Synapse
from ranvier.protocol.tensor import Blob, Like, Tensor
from ranvier.protocol.threads import wanted
from ranvier.protocol.timeline import Observer, Timeline

__all__ = [
    "AddressPolicy",
    "Answered",
    "Answering",
    "Axon",
    "Blob",
    "Caller",
    "Code",
    "Dendrite",
    "Door",
    "Handler",
    "HandlerUnfit",
    "Invalid",
    "InvalidReply",
    "Job",
    "Keypair",
    "Like",
    "Limits",
    "Load",
    "NonceClock",
    "Observer",
    "Outcome",
    "ProtocolError",
    "Refusal",
    "Refused",
    "ReplayGuard",
    "Reply",
    "SigningError",
    "Standing",
    "Synapse",
    "Target",
    "Tensor",
    "TimedOut",
    "Timeline",
    "Unreachable",
    "keypair_from_uri",
    "wanted",
    "whole",
]
