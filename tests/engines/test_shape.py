"""Shapes and memory from heads of files alone; what fits into a device."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines.box import Box, Gpu
from ranvier.engines.catalog import entries, find
from ranvier.engines.errors import ModelNotFound
from ranvier.engines.fit import CACHE_SHARE, CPU_CACHE, PASS, SPARE, Device, Load, devices_of, estimate, room
from ranvier.engines.guide import GUIDE
from ranvier.engines.shape import Shape, read_shape
from ranvier.engines.store import Store

GIB = 1 << 30
LLAMA = GUIDE["1B"]
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "hidden_size": 32, "intermediate_size": 64, "vocab_size": 64,
    "max_position_embeddings": 256,
}  # fmt: skip


def weights(path: Path, **tensors: tuple[str, list[int], int]) -> None:
    """A safetensors file whose data are a hole: only its head can be read."""
    head, end = {}, 0
    for name, (dtype, shape, count) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + count]}
        end += count
    raw = json.dumps(head).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + end)


def test_a_folder_is_read_by_its_heads_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    weights(tmp_path / "model.safetensors", a=("BF16", [10_000, 100_000], 2 * 10**9), b=("F32", [10], 40))
    weights(tmp_path / "consolidated.safetensors", a=("BF16", [10_000, 100_000], 2 * 10**9))
    shape = read_shape(tmp_path)
    assert (shape.kind, shape.stored, shape.context) == ("text", "bfloat16", 256)
    assert shape.parameters == 10**9 + 10, "the same weights in another file do not count"
    assert shape.weights("float32") == 4 * shape.parameters
    assert shape.token_bytes("bfloat16") == 2 * 3 * 2 * 8 * 2


def test_files_of_an_index_are_added(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"quantization_config": {"bits": 4}}))
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    for name, file in names.items():
        weights(tmp_path / file, **{name: ("U8", [100], 100)})
    shape = read_shape(tmp_path)
    assert shape.parameters == 200
    assert shape.fixed, "quantised weights are loaded as they are"
    assert shape.weights("float32") == shape.disk


def gguf(facts: dict[str, Any], shape: list[int]) -> bytes:
    """A GGUF file of one tensor."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    raw = b"GGUF" + struct.pack("<IQQ", 3, 1, len(facts))
    for name, value in facts.items():
        raw += text(name)
        if isinstance(value, str):
            raw += struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            raw += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        else:
            raw += struct.pack("<II", 4, value)
    raw += text("w") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
    return raw + struct.pack("<IQ", 2, 0)


FACTS = {
    "general.architecture": "llama", "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
    "llama.embedding_length": 32, "llama.block_count": 3, "llama.context_length": 512,
    "tokenizer.ggml.tokens": ["a", "bc", ""],
}  # fmt: skip


def test_a_gguf_file_is_read_by_its_head(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(FACTS, [32, 7]))
    shape = read_shape(tmp_path / "m.gguf")
    assert shape.parameters == 32 * 7
    assert (shape.layers, shape.kv_heads, shape.head_size, shape.context) == (3, 2, 8, 512)
    assert (shape.vocabulary, shape.stored) == (3, "gguf")


@given(st.integers(0, 400))
def test_a_head_that_is_cut_off_is_refused_with_a_reason(tmp_path_factory: Any, length: int) -> None:
    raw = gguf(FACTS, [32, 7])
    file = tmp_path_factory.mktemp("cut") / "m.gguf"
    file.write_bytes(raw[: min(length, len(raw) - 1)])
    with pytest.raises(ModelNotFound, match="its shape cannot be read"):
        read_shape(file)


@pytest.mark.parametrize("raw", [b"", b"\xff" * 8, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b"{"])
def test_what_is_no_safetensors_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(ModelNotFound, match="its shape cannot be read"):
        read_shape(tmp_path)


def test_known_names_folders_and_nonsense(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    known = {one.name: one for one in entries(store)}
    assert known["smollm2"].spec == "text=smollm2"
    assert known["smollm2"].command == "ranvier models prepare smollm2"
    assert known["sentiment"].command == "ranvier models prepare minilm"
    assert known["scenes"].place is not None
    assert known["scenes"].shape is not None
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    weights(tmp_path / "model.safetensors", a=("F32", [64], 256))
    assert find(str(tmp_path), store).spec == f"text={tmp_path}"
    assert find(f"embed={tmp_path}", store).kind == "embed"
    with pytest.raises(ModelNotFound, match=r"hub id \(owner/name\)\. Known: smollm2"):
        find("gpt9", store)


def test_a_hub_that_cannot_be_asked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFound, match="the hub did not tell its shape"):
        find("nobody/nothing-of-this-name", Store(tmp_path))


def test_a_gpu_has_room_for_what_its_memory_holds() -> None:
    small, large = Device("24", 24 * GIB, 23 * GIB), Device("80", 80 * GIB, 78 * GIB)
    seven = GUIDE["7B"]
    assert room(seven, "bfloat16", Device("12", 12 * GIB, 12 * GIB), Load(16, 2048)).size == 0
    on_small, on_large = (room(seven, "bfloat16", one, Load(16, 2048)) for one in (small, large))
    assert 0 < on_small.size < on_large.size
    assert on_small.context < on_large.context <= seven.context
    assert room(seven, "int8", small, Load(16, 2048)).size > on_small.size
    assert room(GUIDE["70B"], "bfloat16", large, Load(1, 2048)).size == 0


def test_a_processor_without_bfloat16_holds_such_models_twice() -> None:
    """As they are stored and in float32."""
    load = Load(1, 100)
    need = {
        (dtype, widens): estimate(LLAMA, dtype, load, widens=widens).weights
        for dtype in ("float32", "bfloat16", "int8")
        for widens in (False, True)
    }
    assert need["bfloat16", True] == need["bfloat16", False] + need["float32", False]
    assert need["float32", True] == need["float32", False]
    assert need["int8", True] == need["int8", False]
    on_gpu = estimate(LLAMA, "bfloat16", load, cpu=False, widens=True).weights
    assert on_gpu == need["bfloat16", False]
    pictures = replace(LLAMA, kind="image")
    drawing = estimate(pictures, "bfloat16", load, widens=True).weights
    assert drawing == need["bfloat16", False] + 2 * need["float32", False], "in double precision"
    one = room(LLAMA, "bfloat16", Device("cpu", 64 * GIB, 64 * GIB, cpu=True, widens=True), load)
    assert one.weights == need["bfloat16", True]


@given(
    *(st.integers(1, 96), st.integers(1, 4096), st.sampled_from(["float32", "bfloat16"])),
    *(st.booleans(), st.booleans()),
)
def test_what_is_said_to_fit_fits_and_one_more_does_not(
    gib: int, context: int, dtype: str, on_cpu: bool, widens: bool
) -> None:
    device = Device("d", gib * GIB, gib * GIB, cpu=on_cpu, widens=on_cpu and widens)
    found = room(LLAMA, dtype, device, Load(4, context))
    if found.size:
        need = estimate(LLAMA, dtype, Load(found.size, context), cpu=on_cpu, widens=widens)
        assert need.total <= device.free
        held = found.size * context * LLAMA.token_bytes(dtype)
        assert held <= CACHE_SHARE * (CPU_CACHE if on_cpu else device.free - need.weights)
    else:
        alone = estimate(LLAMA, dtype, Load(1, context), cpu=on_cpu, widens=widens)
        half = CACHE_SHARE * (device.free - alone.weights - alone.process)
        assert alone.total > device.free or context * LLAMA.token_bytes(dtype) > min(half - GIB // 8, 2 * GIB)


def test_llama_cpp_takes_its_cache_at_the_start() -> None:
    shape = Shape("text", 10**9, 6 * 10**8, "gguf", 16, 8, 64, 2048, 8192, 128256, 8192)
    short, long = (estimate(shape, "as stored", Load(8, tokens)).total for tokens in (10, 2000))
    assert short == long
    assert room(shape, "as stored", Device("d", 64 * GIB, 64 * GIB, cpu=True), Load(8, 4096)).size == 0


@pytest.mark.models
def test_the_engine_has_the_bounds_that_are_reckoned_with() -> None:
    pytest.importorskip("torch")
    from ranvier.engines import fit, memory
    from ranvier.engines.text import cache, network, writing

    assert (CACHE_SHARE, PASS) == (writing.CACHE_SHARE, writing.IDLE_CHUNK)
    assert (CPU_CACHE, SPARE, fit.RESERVE) == (network.CPU_CACHE, cache.SPARE, memory.RESERVE)


def test_every_command_counts_with_what_the_processor_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    """`models list` asks about this machine; `models fit` takes what was seen of it. GPUs never widen."""
    from ranvier.neurons.cli.shelf import _memory

    entry: Any = SimpleNamespace(shape=LLAMA)
    memory = {}
    for able in (True, False):
        monkeypatch.setattr("ranvier.engines.box.multiplies_bfloat16", lambda able=able: able)
        memory[able] = _memory(entry)
        box = Box("p", 2, 64 * GIB, 64 * GIB, (Gpu(0, "g", GIB, GIB),), "", bfloat16=able)
        assert [one.widens for one in devices_of(box)] == [not able, False]
    assert memory[False]["bfloat16"] > memory[True]["bfloat16"]
    assert memory[False]["float32"] == memory[True]["float32"]
