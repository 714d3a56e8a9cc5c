"""What `torch.compile` would bring on this processor: the norms of every layer, compiled, in the engine's own batch.

Norms are what can be compiled without laying graphs out anew at every step: they know nothing of who joins and leaves.
The matrix products run in the processor's own kernels either way. Needs a C++ compiler.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

import torch
from figure import Figure
from text import chats, ours, singly, spent

from ranvier.engines.models import TextRequest
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network

TURNS = 2


def figures(folder: str, *, quick: bool) -> Sequence[Figure]:
    """Plain and compiled in turn, of each the best."""
    if shutil.which("g++") is None:
        return [Figure("torch.compile of norms", "not measured", note="there is no C++ compiler here")]
    torch.set_num_threads(1)
    asked = chats()[: 8 if quick else None]
    plain, compiled = loaded(folder), loaded(folder, compile_norms=True)
    ours(compiled, asked[:2])
    pairs = zip(plain.generate(asked[:4]), compiled.generate(asked[:4]), strict=True)
    same = sum(one.logprobs == two.logprobs for one, two in pairs)
    note = f"of 4 answers {same} have the same bits"
    made = []
    for name, way in ((f"{len(asked)} at once", ours), ("one at a time", singly)):
        some = asked if way is ours else asked[::8]
        rates = [(rate(way, plain, some), rate(way, compiled, some)) for _ in range(TURNS)]
        usual, other = map(max, zip(*rates, strict=True))
        made.append(
            Figure(f"torch.compile of norms, {name}", f"{other:.1f} tokens/CPU-s", other / usual, note=note)
        )
    return made


def loaded(folder: str, *, compile_norms: bool = False) -> CausalText:
    """As an engine loads it."""
    network = Network.load(folder, dtype="bfloat16", device="cpu", digest="-")
    if compile_norms:
        for layer in network._model.model.layers:  # noqa: SLF001  no option of the engine's does this
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.forward = torch.compile(norm.forward, dynamic=True)
    return CausalText("text", network)


def rate(
    way: Callable[[CausalText, Sequence[TextRequest]], int], model: CausalText, asked: Sequence[TextRequest]
) -> float:
    """Tokens for each second of processor time."""
    return spent(lambda: way(model, asked))
