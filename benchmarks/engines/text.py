"""Thirty-two chats of mixed length: ours, `generate` padded and one by one, llama.cpp; the first token among them.

Sampled at temperature 1, one thread for every lane. A figure is the tokens that were asked for and written, for each
second of processor time, reading the prompts included.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import torch
from figure import Figure
from transformers import AutoModelForCausalLM, AutoTokenizer

from ranvier.engines.errors import NoRoom
from ranvier.engines.meter import EngineMeter
from ranvier.engines.models import Message, Sampling, TextRequest
from ranvier.engines.served import Served
from ranvier.engines.text.model import CausalText
from ranvier.engines.text.network import Network
from ranvier.engines.wide import ABLE

CHATS = 32
SINGLES = 4
"""Chats that are written one at a time: every eighth, for all of them would take minutes and say the same."""
ROUNDS = 3
"""Times 32 chats that are served while 32 are kept."""
TRIES = 3
WORDS = ("the", "old", "keeper", "counted", "ships", "and", "wrote", "names", "into", "a", "book")


def chats(count: int = CHATS) -> list[TextRequest]:
    """Prompts of about 40 to 240 tokens, answers of 16 to 128, in an order that mixes them; no two begin alike."""
    made = []
    for number in range(count):
        rng = random.Random(number)
        words = [rng.choice(WORDS) for _ in range(8 + 37 * number % 200)]
        asked = Message("user", "Continue this story at length: " + " ".join(words))
        sampling = Sampling(max_tokens=16 + 29 * number % 113, seed=bytes([number]) * 32)
        made.append(TextRequest((asked,), sampling))
    return made


def spent(work: Callable[[], int]) -> float:
    """Tokens for each second of processor time; ``work`` returns how many it wrote."""
    began = time.process_time()
    tokens = work()
    return tokens / (time.process_time() - began)


def ours(model: CausalText, asked: Sequence[TextRequest]) -> int:
    """All at once, through the engine's own batch."""
    return sum(len(one.token_ids) for one in model.generate(asked))


def kept_full(model: CausalText, asked: Sequence[TextRequest]) -> int:
    """`CHATS` at any time: for each that ends the next one joins, as under load."""
    writing, waiting, tokens = model.writing(), list(enumerate(asked))[::-1], 0
    while waiting or writing.size:
        while waiting and writing.size < CHATS:
            writing.join(*waiting.pop())
        for _, made in writing.step():
            if isinstance(made, NoRoom):
                raise made
            tokens += len(made.token_ids)
    return tokens


def singly(model: CausalText, asked: Sequence[TextRequest]) -> int:
    """One after the other, through the same engine."""
    return sum(ours(model, [one]) for one in asked)


RIVAL = "bfloat16" if ABLE() else "float32"
"""The dtype of `generate`: a processor that does not multiply bfloat16 would take many times as long in it."""


class Generate:
    """`generate` of transformers over one padded batch; tokens that nobody asked for do not count."""

    def __init__(self, folder: str) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, RIVAL)).eval()

    def write(self, asked: Sequence[TextRequest]) -> int:
        """All of them as one batch."""
        turns = [[{"role": "user", "content": one.messages[0].content}] for one in asked]
        texts = [
            self._tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True)
            for one in turns
        ]
        batch = self._tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        longest = max(one.sampling.max_tokens for one in asked)
        with torch.inference_mode():
            out = self._model.generate(
                **batch, max_new_tokens=longest, do_sample=True, temperature=1.0, top_k=0, top_p=1.0
            )
        ends = self._model.generation_config.eos_token_id
        written = 0
        for one, row in zip(asked, out[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
            whole = row.index(ends) + 1 if ends in row else len(row)
            written += min(whole, one.sampling.max_tokens)
        return written

    def singly(self, asked: Sequence[TextRequest]) -> int:
        """One after the other, as a miner without batching serves them."""
        return sum(self.write([one]) for one in asked)


class Llama:
    """llama.cpp's own server in this process: as many slots as chats, continuous batching on."""

    def __init__(self, gguf: Path, slots: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_parallel, params.n_ctx = slots, 512 * slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.n_gpu_layers, params.warmup, params.cont_batching = 0, True, True
        self._server = xllamacpp.Server(params)

    def write(self, asked: Sequence[TextRequest]) -> int:
        """Every chat from a thread of its own; the tokens that the server counted."""
        with ThreadPoolExecutor(len(asked)) as pool:
            return sum(pool.map(self._one, asked))

    def _one(self, asked: TextRequest) -> int:
        body = {
            "messages": [{"role": "user", "content": asked.messages[0].content}],
            "max_tokens": asked.sampling.max_tokens, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
            "cache_prompt": False,
        }  # fmt: skip
        # Over its port: its Python calls may hold the interpreter, and chats would wait for one another.
        url = f"{self._server.listening_address}/v1/chat/completions"
        sent = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(sent) as reply:
            return int(json.load(reply)["usage"]["completion_tokens"])


async def first_token(served: Served, asked: TextRequest) -> float:
    """Seconds of processor time of this process from the request to the first piece of its answer.

    Everything runs on one thread: on an idle core that is the time by the clock.
    """
    began = time.process_time()
    spoken = asyncio.Event()
    task = asyncio.ensure_future(served.do("generate", asked, lambda _piece: spoken.set()))
    await spoken.wait()
    waited = time.process_time() - began
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return waited


async def first_tokens(model: CausalText, asked: Sequence[TextRequest]) -> tuple[float, float, int]:
    """Median time to the first token: alone, and while 31 others write."""
    served = Served(model, EngineMeter(), max_batch=CHATS)
    probe = asked[9]
    alone = [await first_token(served, probe) for _ in range(TRIES)]
    others = [TextRequest(one.messages, Sampling(max_tokens=400, temperature=0.0)) for one in asked[:31]]
    writing: set[int] = set()
    tasks = [
        asyncio.ensure_future(served.do("generate", one, lambda _piece, number=number: writing.add(number)))
        for number, one in enumerate(others)
    ]
    while len(writing) < len(others):  # noqa: ASYNC110  what is awaited is a count
        await asyncio.sleep(0.01)
    beside = []
    for _ in range(TRIES):
        await asyncio.sleep(0.37)
        beside.append(await first_token(served, probe))
    ended = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await served.worker.stop()
    return statistics.median(alone), statistics.median(beside), ended


def figures(folder: str, gguf: Path | None, *, quick: bool) -> Sequence[Figure]:
    """Lanes in turn; the rivals after ours, one after the other."""
    torch.set_num_threads(1)
    asked = chats()[: 8 if quick else CHATS]
    model = CausalText("text", Network.load(folder, dtype="bfloat16", device="cpu", digest="-"))
    ours(model, asked[:2])
    rate = spent(lambda: ours(model, asked))
    full = spent(lambda: kept_full(model, chats((1 if quick else ROUNDS) * CHATS)))
    few = asked[:: max(len(asked) // SINGLES, 1)]
    generate = Generate(folder)
    generate.write(asked[:1])
    alone, own = spent(lambda: generate.singly(few)), spent(lambda: singly(model, few))
    rivals: list[tuple[str, float, float | None]] = [
        (f"padded `generate` of transformers, {RIVAL}", spent(lambda: generate.write(asked)), 1.2),
        (f"`generate`, {RIVAL}, one at a time", alone, 8.0),
        ("our own engine, one at a time", own, None),
    ]
    if gguf is not None:
        llama = Llama(gguf, CHATS)
        llama.write(asked[:2])
        rivals.append((f"llama.cpp, {gguf.name}", spent(lambda: llama.write(asked)), 1.4))
    made = [Figure(f"ours, {len(asked)} of mixed length, bf16", f"{rate:.1f} tokens/CPU-s")]
    made += [
        Figure(f"ours against {name}", f"{value:.1f} tokens/CPU-s", rate / value, least=bar)
        for name, value, bar in rivals
    ]
    busy = f"ours, kept at {CHATS} while {ROUNDS * CHATS} are served"
    made += [
        Figure(
            f"{busy}, against `generate`, one at a time", f"{full:.1f} tokens/CPU-s", full / alone, least=8
        ),
        Figure(f"{busy}, against our own engine, one at a time", f"{full:.1f} tokens/CPU-s", full / own),
    ]
    first, beside, ended = asyncio.run(first_tokens(model, chats()))
    return [
        *made,
        Figure("first token alone", f"{first * 1000:.0f} ms"),
        Figure(
            "first token while 31 others write",
            f"{beside * 1000:.0f} ms",
            beside / first,
            most=3,
            note=f"processor time of the engine from request to first piece; {ended} of the 31 ended meanwhile",
        ),
    ]
