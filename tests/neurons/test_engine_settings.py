"""What an operator may write about engines behind an engine, and what is told of the rest."""

from __future__ import annotations

import pytest

from ranvier.neurons.config import EngineSettings, load_one
from ranvier.neurons.engine import plans, serve_engine
from ranvier.neurons.errors import ConfigError

GOOD = "http://10.0.0.7:8000"


def settings(*upstreams: dict[str, object], **more: object) -> EngineSettings:
    return load_one(EngineSettings, None, {"upstreams": list(upstreams), **more})


@pytest.mark.parametrize("endpoint", [GOOD, f"{GOOD}/", "https://api.example.com/openai", "unix:/run/e.sock"])
def test_endpoints(endpoint: str) -> None:
    (one,) = settings({"endpoint": endpoint}).upstreams
    assert one.endpoint == endpoint.rstrip("/")


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        (f"{GOOD}/v1", f"leave /v1 out: {GOOD}"),
        (f"{GOOD}/v1/", f"leave /v1 out: {GOOD}"),
        ("10.0.0.7:8000", "an endpoint is unix:/path"),
        ("ftp://10.0.0.7", "an endpoint is unix:/path"),
        ("unix:", "an endpoint is unix:/path"),
        ("http://", "an endpoint is unix:/path"),
        ("http://user:key@10.0.0.7", "name the variable with the key in key_env"),
        ("http://10.0.0.7?key=1", "name the variable with the key in key_env"),
    ],
)
def test_endpoints_that_are_none(endpoint: str, said: str) -> None:
    with pytest.raises(ConfigError, match="upstreams") as caught:
        settings({"endpoint": endpoint})
    assert said in str(caught.value)


def test_one_upstream_named_twice_and_an_unknown_key() -> None:
    with pytest.raises(ConfigError, match="named 2 times"):
        settings({"endpoint": GOOD}, {"endpoint": f"{GOOD}/"})
    assert len(settings({"endpoint": GOOD, "model": "a"}, {"endpoint": GOOD, "model": "b"}).upstreams) == 2
    with pytest.raises(ConfigError, match="capacty"):
        settings({"endpoint": GOOD, "capacty": 3})


async def test_what_is_missing_is_told_before_anything_starts() -> None:
    with pytest.raises(
        ConfigError, match=r"name at least one, e\.g\. --model text=smollm2, or an --upstream"
    ):
        await serve_engine(settings(), ready=print)
    with pytest.raises(ConfigError, match=r"the environment has no NO_SUCH_KEY \(the key for http"):
        await serve_engine(settings({"endpoint": GOOD, "key_env": "NO_SUCH_KEY"}), ready=print)


async def test_a_front_alone_needs_no_models() -> None:
    assert await plans(settings({"endpoint": GOOD})) == []
