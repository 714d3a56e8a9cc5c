"""Chat completions as a client of any OpenAI-compatible server writes and reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ranvier.engines.models import Generation, ModelInfo, TextRequest

SEED: Final = "ranvier_seed"
"""The argument of a request that carries a seed of seeded-gumbel-v1, as hex, to a vLLM with our plugin."""
DATA: Final = b"data:"
DONE: Final = b"[DONE]"


def listed(raw: bytes, features: tuple[str, ...]) -> tuple[ModelInfo, ...]:
    """The models of ``/v1/models``: names without digest. Raises ValueError for anything else."""
    try:
        found: list[dict[str, Any]] = json.loads(raw)["data"]
        return tuple(ModelInfo(str(one["id"]), "text", "", "", "", features) for one in found)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a list of models: {error!r}") from error


def asked(request: TextRequest, model: str, *, stream: bool) -> bytes:
    """The body of a request. Servers that know no token ids or seeds of ours leave those fields alone."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "logprobs": True,
        "top_logprobs": 0,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if sampling.seed is not None:
        # Penalties and cuts that a server would add of its own are not part of the sampling that is proven.
        body |= {
            "vllm_xargs": {SEED: sampling.seed.hex()},
            "return_token_ids": True,
            "top_k": -1,
            "min_p": 0.0,
        }
        body |= {"repetition_penalty": 1.0}
    return json.dumps(body).encode()


def completion(raw: bytes) -> Generation:
    """A whole answer. Raises ValueError where it is none."""
    answer = Answer()
    try:
        reply = json.loads(raw)
        answer.add(reply, reply["choices"][0]["message"])
        return answer.generation()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"not a chat completion: {error!r}") from error


class Answer:
    """An answer that comes whole or in events."""

    def __init__(self) -> None:
        self._text, self._prompt_tokens = "", 0
        self._token_ids: list[int] = []
        self._logprobs: list[float] = []
        self._finish: str | None = None

    def event(self, line: bytes) -> str:
        """What a line of an event stream adds to the text. Raises ValueError for a line that is no event."""
        data = line.removeprefix(DATA).strip()
        if not line.startswith(DATA) or data == DONE:
            return ""
        try:
            event = json.loads(data)
            if "error" in event:
                raise ValueError(str(event["error"]))
            choices = event.get("choices") or [{}]
            return self.add(event, choices[0].get("delta") or {})
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not an event of a chat completion: {error!r}") from error

    def add(self, reply: Mapping[str, Any], said: Mapping[str, Any]) -> str:
        """Take over what a reply or an event holds; returns the new text."""
        choice = (reply.get("choices") or [{}])[0]
        scored = (choice.get("logprobs") or {}).get("content") or []
        self._logprobs += [float(one["logprob"]) for one in scored]
        # vLLM tells ids beside the text, llama.cpp beside each log-probability, hosted servers not at all.
        ids = choice.get("token_ids") or [one["id"] for one in scored if "id" in one]
        self._token_ids += [int(one) for one in ids]
        self._finish = choice.get("finish_reason") or self._finish
        self._prompt_tokens = int((reply.get("usage") or {}).get("prompt_tokens") or self._prompt_tokens)
        piece = str(said.get("content") or "")
        self._text += piece
        return piece

    @property
    def finished(self) -> bool:
        """Whether the server said how it ended; a stream that was cut off did not."""
        return self._finish is not None

    def generation(self) -> Generation:
        """All of it; token ids and log-probabilities only where there is one for each token."""
        return Generation(
            self._text,
            tuple(self._token_ids),
            tuple(self._logprobs),
            self._prompt_tokens,
            "length" if self._finish == "length" else "stop",
        )
