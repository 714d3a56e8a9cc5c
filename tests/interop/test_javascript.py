"""The client in examples/javascript-client, against our axon and the vectors: another language speaks the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ranvier.protocol import Axon, Caller, Door, Reply, Standing, Synapse, Tensor, keypair_from_uri

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "javascript-client"
ALICE, BOB = keypair_from_uri("//Alice"), keypair_from_uri("//Bob")
SEED = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed"),
]


class Echo(Synapse):
    text: str

    class Reply(Reply):
        text: str


class Count(Echo):
    """In pieces."""


class Doubled(Synapse):
    values: Tensor

    class Reply(Reply):
        values: Tensor


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("javascript") / "client"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm finds no packages here: {done.stderr[-200:]}")
    return folder


@contextlib.asynccontextmanager
async def miner() -> AsyncIterator[int]:
    async def echo(request: Echo, caller: Caller) -> Echo.Reply:
        return Echo.Reply(text=f"{request.text} {caller.hotkey == ALICE.ss58_address}")

    async def count(request: Count, caller: Caller) -> AsyncIterator[str | Count.Reply]:
        for piece in ("o", "n", "e"):
            yield piece
        yield Count.Reply(text="one")

    async def double(request: Doubled, caller: Caller) -> Doubled.Reply:
        return Doubled.Reply(values=Tensor.of(request.values.array * 2))

    door = Door()
    door.update({ALICE.ss58_address: Standing(0, 10**12, True)})
    axon = Axon(BOB, door=door).serve(Echo, echo).serve(Count, count).serve(Doubled, double)
    async with axon:
        yield axon.port


@contextlib.asynccontextmanager
async def relay(port: int, change: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """Somebody on the way, who changes what comes back."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", port)
        head = await reader.readuntil(b"\r\n\r\n")
        back.write(head.replace(b"keep-alive", b"close", 1))
        back.write(await reader.read(1 << 16))
        writer.write(change(await onward.read()))
        for each in (writer, back):
            each.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ran(client: Path, *words: str, seed: str = SEED) -> tuple[int | None, list[dict[str, object]], str]:
    """Exit code, lines, what was complained about."""
    process = await asyncio.create_subprocess_exec(
        *("node", *words), cwd=client, env={"PATH": _path(), "RANVIER_SEED": seed},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, wrong = await asyncio.wait_for(process.communicate(), 60)
    lines = [json.loads(line) for line in said.decode().splitlines() if line.startswith("{")]
    return process.returncode, lines, wrong.decode()


def _path() -> str:
    node = shutil.which("node")
    assert node is not None
    return str(Path(node).parent)


def asked(port: int, synapse: str = "Echo") -> list[str]:
    return ["127.0.0.1", str(port), BOB.ss58_address, synapse, '{"text": "hé"}']


async def test_the_vectors(client: Path) -> None:
    code, _, wrong = await ran(client, "check-vectors.js", str(ROOT / "docs" / "wire-vectors.json"))
    assert (code, wrong) == (0, "")


async def test_a_reply_and_a_stream(client: Path) -> None:
    async with miner() as port:
        assert await ran(client, "ask.js", *asked(port)) == (0, [{"reply": {"text": "hé True"}}], "")
        code, lines, _ = await ran(client, "ask.js", "--stream", *asked(port, "Count"))
        assert (code, lines) == (
            0,
            [{"piece": "o"}, {"piece": "n"}, {"piece": "e"}, {"reply": {"text": "one"}}],
        )


async def test_tensors_in_frames(client: Path) -> None:
    script = f"""
        import {{ Client }} from './client.js';
        import {{ float32, tensor }} from './frame.js';
        import {{ Hotkey }} from './keys.js';
        const client = new Client(new Hotkey('{SEED}'));
        const buffers = [];
        const values = tensor(new Float32Array([1.5, -2, 0.25]), 'float32', [3], buffers);
        const miner = {{ host: '127.0.0.1', port: Number(process.argv[2]), hotkey: '{BOB.ss58_address}' }};
        const {{ head, buffers: back }} = await client.askFrame(miner, 'Doubled', {{ head: {{ values }}, buffers }});
        console.log(JSON.stringify({{ doubled: [...float32(head.values, back)] }}));
        client.close();
    """
    (client / "double.js").write_text(script)
    async with miner() as port:
        assert await ran(client, "double.js", str(port)) == (0, [{"doubled": [3, -4, 0.5]}], "")


async def test_refusals_are_named(client: Path) -> None:
    async with miner() as port:
        code, _, wrong = await ran(client, "ask.js", *asked(port), seed="11" * 32)
        assert (code, wrong.startswith("Refused: not-registered")) == (1, True)
        code, _, wrong = await ran(client, "ask.js", *asked(port, "Nothing"))
        assert (code, wrong.startswith("Refused: unknown-synapse")) == (1, True)
    code, _, wrong = await ran(client, "ask.js", *asked(1), seed="short")
    assert (code, "not a seed" in wrong) == (2, True)


@pytest.mark.parametrize(
    ("synapse", "change", "reason"),
    [
        ("Echo", lambda whole: whole.replace(b"True", b"Tru3"), "not signed by the miner"),
        (
            "Echo",
            lambda whole: whole.replace(b"X-Ranvier-Signature", b"X-Nothing-Signature"),
            "is not signed",
        ),
        ("Count", lambda whole: whole.replace(b'"o"', b'"0"'), "not signed by the miner"),
        ("Count", lambda whole: cut(whole, b'{"signature"'), "cut"),
        ("Count", lambda whole: cut(whole, b'{"reply"'), "cut"),
    ],
    ids=["another word", "no signature", "another piece", "no trailer", "no end"],
)
async def test_what_a_relay_does_is_seen(
    client: Path, synapse: str, change: Callable[[bytes], bytes], reason: str
) -> None:
    stream = ["--stream"] if synapse == "Count" else []
    async with miner() as port, relay(port, change) as between:
        code, lines, wrong = await ran(client, "ask.js", *stream, *asked(between, synapse))
        assert (code, [line for line in lines if "reply" in line]) == (1, [])
        assert wrong.startswith("InvalidReply")
        assert reason in wrong


def cut(whole: bytes, place: bytes) -> bytes:
    """As if the stream had ended there, framed as whole: only the trailer tells."""
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = []
    while body:  # of chunks
        size, _, body = body.partition(b"\r\n")
        lines.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    left = b"".join(lines).partition(place)[0]
    return head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(left), left)
