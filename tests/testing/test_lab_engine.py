"""A subnet that needs an engine: while the engine works in another thread, no simulated time passes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sums import Sum, SumSubnet

from ranvier.engines.errors import EngineError
from ranvier.engines.models import Message, Sampling, TextRequest
from ranvier.protocol import Caller
from ranvier.subnets import EngineNeed, Miner
from ranvier.testing import Lab


class Engine(BaseHTTPRequestHandler):
    """Speaks like any OpenAI-compatible server, takes its time, and can only add."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = self.path == "/v1/models"
        self._reply(200 if known else 404, {"data": [{"id": "adder"}]} if known else {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.01)
        total = sum(map(int, body["messages"][-1]["content"].split("+")))
        self._reply(200, {"choices": [{"message": {"content": str(total)}, "finish_reason": "stop"}]})

    def _reply(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def engine() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Asking(Miner[Sum]):
    async def answer(self, request: Sum, caller: Caller) -> Any:
        assert self.context.engine is not None
        question = TextRequest((Message("user", f"{request.left}+{request.right}"),), Sampling(max_tokens=8))
        return Sum.Reply(total=int((await self.context.engine.generate(question)).text))


class AskingSubnet(SumSubnet):
    name = "asking"
    miner = Asking
    engine = EngineNeed("text")


def test_an_engines_work_takes_no_simulated_time(engine: str) -> None:
    with Lab(AskingSubnet, engine=engine, settings={"deadline": 0.005}) as lab:
        report = lab.run(12)
    report.honest_pay_best()
    assert {one.reason for one in report["honest-1"].verdicts} <= {"right", "answered, not audited"}


def test_an_engine_that_is_not_there_is_named_at_the_start() -> None:
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"), Lab(AskingSubnet, engine="http://127.0.0.1:9"):
        pass
