"""Chat completions as a client of any OpenAI-compatible server writes and reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ranvier.engines.models import Alternative, FinishReason, Generation, ModelInfo, Sampling, TextRequest

SEED: Final = "ranvier_seed"
"""The argument of a request that carries a seed of seeded-gumbel-v1, as hex, to a vLLM with our plugin."""
VLLM: Final = "vllm"
"""What vLLM names itself among its models: it tells the ids of tokens if it is asked to."""
COLDEST: Final = 0.01
"""vLLM raises temperatures above 0 to this, so that smaller ones cannot be proven."""
DATA: Final = b"data:"
DONE: Final = b"[DONE]"
MOST_MODELS: Final = 64
"""So many models one server may list; one of a longer list has to be named."""
LONGEST_NAME: Final = 200
BROKEN: Final = ("abort", "error", "cancelled")
"""Ends that are none of an answer."""


def listed(raw: bytes, features: tuple[str, ...], wanted: str = "") -> tuple[ModelInfo, ...]:
    """The models of ``/v1/models``, or the ``wanted`` one: names without digest. Raises ValueError for all else."""
    try:
        found: list[Mapping[str, Any]] = [one for one in json.loads(raw)["data"] if wanted in ("", one["id"])]
        made = tuple(_listed(one, features) for one in found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a list of models: {error!r}"[:300]) from error
    if len(made) > MOST_MODELS:
        raise ValueError(f"it lists {len(made)} models; name the one that is wanted (model = ...)")
    return made


def _listed(one: Mapping[str, Any], features: tuple[str, ...]) -> ModelInfo:
    name = one["id"]
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError("a name that is none")
    return ModelInfo(name, "text", "", "", "", features, {"server": str(one.get("owned_by"))[:40]})


def asked(
    request: TextRequest, model: str, *, stream: bool, logprobs: bool = True, token_ids: bool = False
) -> bytes:
    """The body of a request; ``token_ids`` asks for them as vLLM understands it. Raises ValueError."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if sampling.alternatives is not None and not logprobs:
        raise ValueError("it is not asked for log-probabilities (logprobs = false)")
    if logprobs:  # llama.cpp gives none where none of the other tokens are asked for
        body |= {"logprobs": True, "top_logprobs": max(sampling.alternatives or 0, 1)}
    body |= _shaped(sampling)
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if token_ids or sampling.seed is not None:
        body["return_token_ids"] = True
    if sampling.seed is not None:
        body |= _seeded(sampling.seed, sampling.temperature)
    return json.dumps(body).encode()


def _shaped(sampling: Sampling) -> dict[str, Any]:
    """What is not as every server has it by itself: some refuse the names of what OpenAI does not have."""
    plain = Sampling()
    names = "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"
    shaped = {
        name: getattr(sampling, name) for name in names if getattr(sampling, name) != getattr(plain, name)
    }
    if "repetition_penalty" in shaped:
        shaped["repeat_penalty"] = shaped["repetition_penalty"]  # as llama.cpp calls it
    return shaped


def _seeded(seed: bytes, temperature: float) -> dict[str, Any]:
    """The seed, and neutral values for what a server would add of its own: it is no part of the sampling proven."""
    if 0 < temperature < COLDEST:
        raise ValueError(f"temperature: vLLM samples at 0 and from {COLDEST} on, not at {temperature:g}")
    return {"vllm_xargs": {SEED: seed.hex()}, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


def completion(raw: bytes, alternatives: int | None = None) -> Generation:
    """A whole answer, with so many alternatives. Raises ValueError where it is none."""
    answer = Answer(alternatives)
    try:
        reply = json.loads(raw)
        answer.add(reply, reply["choices"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a chat completion: {error!r}"[:300]) from error
    return answer.generation()


class Answer:
    """An answer that comes whole or in events; ``alternatives`` as in `Sampling`."""

    def __init__(self, alternatives: int | None = None) -> None:
        self._most = alternatives
        self._alternatives: list[tuple[Alternative, ...]] = []
        self._pieces: list[str] = []
        self._prompt_tokens = 0
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._finish = ""

    def event(self, line: bytes) -> str:
        """What a line of an event stream adds to the text. Raises ValueError for a line that is no event."""
        data = line.removeprefix(DATA).strip()
        if not line.startswith(DATA) or data == DONE:
            return ""
        try:
            event = json.loads(data)
            if "error" in event:
                raise ValueError(str(event["error"])[:300])
            choices = event.get("choices") or [{}]
            return self.add(event, choices[0].get("delta") or {})
        except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not an event of a chat completion: {error!r}"[:300]) from error

    def add(self, reply: Mapping[str, Any], said: Mapping[str, Any]) -> str:
        """Take over what a reply or an event holds; returns the new text."""
        choice = (reply.get("choices") or [{}])[0]
        scored = (choice.get("logprobs") or {}).get("content") or []
        self._logprobs += [_logprob(one["logprob"]) for one in scored]
        if self._most is not None:
            self._alternatives += [_told(one, self._most) for one in scored]
        # vLLM tells ids beside the text, llama.cpp beside each log-probability, hosted servers not at all.
        self._token_ids += _ids(choice.get("token_ids") or [one["id"] for one in scored if "id" in one])
        self._finish = str(choice.get("finish_reason") or self._finish)
        self._prompt_tokens = int((reply.get("usage") or {}).get("prompt_tokens") or self._prompt_tokens)
        piece = said.get("content") or ""
        if not isinstance(piece, str):
            raise TypeError("a text that is none")
        self._pieces.append(piece)
        return piece

    def generation(self) -> Generation:
        """All of it. Raises ValueError for one that has no end, or not one log-probability for each token."""
        if not self._finish or self._finish in BROKEN:
            raise ValueError(f"the answer broke off ({self._finish or 'no end was told'})")
        ids, logprobs = self._token_ids, self._logprobs
        if ids and logprobs and len(ids) != len(logprobs):
            raise ValueError(f"{len(ids)} token ids and {len(logprobs)} log-probabilities")
        if self._most is not None and any(self._pieces) and not self._alternatives:
            raise ValueError("no log-probabilities, which were asked for")
        end: FinishReason = "length" if self._finish == "length" else "stop"
        told = tuple(self._alternatives)
        return Generation("".join(self._pieces), tuple(ids), tuple(logprobs), self._prompt_tokens, end, told)


def _told(one: Mapping[str, Any], most: int) -> tuple[Alternative, ...]:
    """A token, and the likeliest ones in its place."""
    found = (one, *(one.get("top_logprobs") or ())[:most])
    return tuple(
        Alternative(other.get("id"), str(other["token"]), _logprob(other["logprob"])) for other in found
    )


def _logprob(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a log-probability that is no number")
    return number


def _ids(values: Sequence[Any]) -> list[int]:
    if not all(type(one) is int and 0 <= one < 1 << 31 for one in values):
        raise ValueError("a token id that is none")
    return list(values)
