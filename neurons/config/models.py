"""What can be set, with defaults. TOML has no null: an empty string, list or 0 stands for "not set" where said so."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Port = Annotated[int, Field(ge=0, le=65535)]


def home() -> Path:
    """``$RANVIER_HOME``, else ``~/.ranvier``."""
    return Path(os.environ.get("RANVIER_HOME") or "~/.ranvier").expanduser()


class Settings(BaseModel):
    """Base: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DoorSettings(Settings):
    """Who may ask a miner."""

    minimum_stake: float = Field(default=0.0, ge=0, description="TAO that a caller must hold as stake")
    require_permit: bool = Field(default=True, description="only validators with a permit are answered")
    allow: tuple[str, ...] = Field(default=(), description="hotkeys admitted whatever the chain says")
    deny: tuple[str, ...] = Field(default=(), description="hotkeys refused whatever the chain says")


class LogSettings(Settings):
    """How a process speaks."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level shown"
    )
    format: Literal["text", "json"] = Field(default="text", description="text for people, json for machines")


class MetricsSettings(Settings):
    """/metrics (Prometheus) and /health."""

    host: str = Field(default="127.0.0.1", description="interface; loopback keeps scores private")
    port: Port = Field(default=0, description="port of /metrics and /health; 0 is off")


class NodeSettings(Settings):
    """What a miner and a validator share. One process may run several, each with its netuid and hotkey."""

    subnet: str = Field(min_length=1, description="installed subnet's name, or package.module:Class")
    netuid: int = Field(ge=0, le=65535, description="the subnet's number on the chain")
    network: str = Field(
        default="local", description="profile (local, test, finney, or one of [networks]) or address"
    )
    networks: dict[str, str] = Field(default={}, description="profiles of your own: name = address")
    wallet: str = Field(default="default", description="wallet's name")
    hotkey: str = Field(default="default", description="hotkey's name in the wallet; no other key is loaded")
    wallets: str = Field(default="~/.bittensor/wallets", description="folder of all wallets")
    engine: str = Field(default="", description='engine, "unix:/path" or "http://host:port"; "": none')
    state: str = Field(
        default="", description='folder of the state; "": nodes/ under $RANVIER_HOME or ~/.ranvier'
    )
    register_hotkey: bool = Field(
        default=False, alias="register", description="register the hotkey if it is not; the coldkey pays"
    )
    refresh_blocks: int = Field(default=5, ge=1, description="blocks between two readings of the metagraph")
    addresses: Literal["auto", "public", "private"] = Field(
        default="auto",
        description="whom to call: private allows loopback; auto does so if the chain is there",
    )
    settings: dict[str, Any] = Field(default={}, description="the subnet's own settings")
    log: LogSettings = Field(default=LogSettings(), description="logging")
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="metrics")

    @property
    def folder(self) -> Path:
        """The folder of the state files."""
        return Path(self.state).expanduser() if self.state else home() / "nodes"


class MinerSettings(NodeSettings):
    """A miner."""

    miner: str = Field(default="", description='miner code, package.module:Class; "": the subnet\'s own')
    model: str = Field(default="", description='which of the engine\'s models; "": the first fitting one')
    host: str = Field(default="127.0.0.1", description="interface to listen on; 0.0.0.0 for all")
    port: Port = Field(default=0, description="port to listen on; 0 takes a free one")
    advertise: str = Field(default="", description='IP address published on the chain; "": the host')
    advertise_port: Port = Field(default=0, description="port published on the chain; 0: the one listened on")
    max_concurrent: int = Field(default=16, ge=1, description="requests answered at the same time")
    max_queue: int = Field(default=256, ge=1, description="admitted requests that may wait")
    drain: float = Field(default=5.0, ge=0, description="seconds for running requests after SIGTERM")
    legacy: bool = Field(
        default=False,
        description="also answer callers of the 10.x wire; docs/legacy.md says what that leaves open",
    )
    seal_required: bool = Field(
        default=False,
        description="refuse requests that are not encrypted; those that are, are always answered under their seal",
    )
    door: DoorSettings = Field(default=DoorSettings(), description="who may ask")

    @model_validator(mode="after")
    def _one_secrecy(self) -> Self:
        if self.legacy and self.seal_required:
            raise ValueError("legacy and seal_required exclude each other: the 10.x wire is in clear")
        return self


class ValidatorSettings(NodeSettings):
    """A validator."""

    round_blocks: int = Field(default=25, ge=1, description="blocks between two rounds")
    weights_after: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="share of an epoch after which weights are set, then retried to its end",
    )
    observe_blocks: int = Field(
        default=-1,
        ge=-1,
        description="blocks to watch for another validator with this hotkey before the first weights; "
        "-1: one tempo, at most 360, and none on a chain of this machine",
    )
    takeover: bool = Field(
        default=False, description="accept weights that another tool or machine set with this hotkey before"
    )
    seal: bool = Field(
        default=False,
        description="encrypt requests and accept no answer in clear; miners without a prekey are not asked",
    )
    compress: bool = Field(
        default=False, description="pack large bodies in clear, for CPU time; sealed ones are never packed"
    )
    version_key: int = Field(
        default=0, ge=0, description="version key sent with weights; 0 where none is required"
    )
    root_weights: bool = Field(
        default=False,
        description="with a seat on root: divide emission between the subnets of this file by the work verified there",
    )
    events: str = Field(
        default="", description='file to which every round is appended as a JSON line; "": none'
    )


class UpstreamSettings(Settings):
    """An engine behind the engine."""

    endpoint: str = Field(description="unix:/path, http://host:port or https://host, without /v1")
    capacity: int = Field(default=32, ge=1, description="requests that it is given at once")
    key_env: str = Field(default="", description='environment variable that holds its API key; "": none')
    model: str = Field(default="", description='its name of the model to use; "": all that it serves')
    name: str = Field(default="", description='name under which we serve that model; "": the same')
    digest: str = Field(
        default="", description="digest of its weights, if you know it: engines of one model must agree on it"
    )
    seeded: bool = Field(
        default=False,
        description="it is a vLLM with the plugin ranvier-vllm-gumbel: it takes verifiable seeds",
    )
    logprobs: bool = Field(
        default=True, description="ask for log-probabilities; false for hosted models that refuse that"
    )

    @field_validator("endpoint")
    @classmethod
    def _plain(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme == "unix" and endpoint.removeprefix("unix:"):
            return endpoint
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an endpoint is unix:/path, http://host:port or https://host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                "an endpoint holds no user, key or query; name the variable with the key in key_env"
            )
        if parts.path.rstrip("/").endswith("/v1"):
            raise ValueError(f"leave /v1 out: {endpoint.rstrip('/').removesuffix('/v1')}")
        return endpoint.rstrip("/")


class EngineSettings(Settings):
    """An engine process."""

    models: tuple[str, ...] = Field(
        default=(),
        description="kind=name, kind=/path or text=/path/model.gguf (llama.cpp), e.g. text=smollm2; "
        "image=name@dtype is an image model in a dtype of its own: validators of pictures need image=scenes and "
        "image=scenes@bfloat16",
    )
    listen: str = Field(
        default="http://127.0.0.1:8092", description="unix:/path (mode 0600) or http://host:port"
    )
    device: str = Field(
        default="cpu",
        description="cpu, cuda, cuda:N, several with commas, or cuda:all; each device gets a process with all models",
    )
    dtype: str = Field(default="", description='float32, bfloat16 or float16; "": each kind\'s own')
    threads: int = Field(default=0, ge=0, description="CPU threads; 0 leaves it to the library")
    safety: bool = Field(
        default=True,
        description="whether an image pipeline's own safety checker runs; what it flags is refused",
    )
    batch: int = Field(default=16, ge=1, description="requests that one batch holds at most")
    queue: int = Field(default=128, ge=1, description="requests that wait at most, for each model")
    memory: int = Field(
        default=0,
        ge=0,
        description="MiB of data that each worker process may have, beside weights it maps from files; 0: no bound "
        "but the machine's or the container's. What needs more is refused for now",
    )
    light: dict[str, str] = Field(
        default={},
        description="text model = a GGUF file or prepared GGUF model that answers in its place, by llama.cpp, what "
        "has no seed, while at most 8 are asked for: several times as fast on a CPU, from weights of its own digest",
    )
    spare: bool = Field(
        default=True,
        description="keep one process warm (some 300 MB) so that a worker that died serves again within seconds",
    )
    start_seconds: float = Field(
        default=900.0, gt=0, description="seconds that a process may take to load its models"
    )
    upstreams: tuple[UpstreamSettings, ...] = Field(
        default=(), description="other engines and OpenAI-compatible servers behind this one"
    )
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="metrics")
    log: LogSettings = Field(default=LogSettings(), description="logging")

    @field_validator("upstreams")
    @classmethod
    def _different(cls, upstreams: tuple[UpstreamSettings, ...]) -> tuple[UpstreamSettings, ...]:
        for (endpoint, model), number in Counter((one.endpoint, one.model) for one in upstreams).items():
            if number > 1:
                raise ValueError(f"{endpoint} is named {number} times{f' for {model}' if model else ''}")
        return upstreams


class ChainSettings(Settings):
    """A local chain."""

    state: str = Field(
        default="", description='folder of the state; "": chain/ under $RANVIER_HOME or ~/.ranvier'
    )
    genesis: str = Field(default="", description="genesis file, needed once: a new chain starts from it")
    preset: str = Field(
        default="",
        description='settings of a new chain without a genesis file: local, 2024, article or 2026; "": none',
    )
    fair_launch: bool = Field(
        default=False, description="with a preset: nothing is there before, first places are given for work"
    )
    block_time: float = Field(
        default=0.0, ge=0, le=3600, description="with a preset: seconds; 0: the preset's own"
    )
    host: str = Field(default="127.0.0.1", description="interface to listen on")
    port: Port = Field(default=9944, description="port to listen on; 0 takes a free one")
    log: LogSettings = Field(default=LogSettings(), description="logging")

    @property
    def folder(self) -> Path:
        """The folder of the state."""
        return Path(self.state).expanduser() if self.state else home() / "chain"
