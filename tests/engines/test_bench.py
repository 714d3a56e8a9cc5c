"""The bench: a real worker under load; one that dies of it is reported and survived; figures are compared and drawn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ranvier.engines.bench.loads import Sizes, prompt
from ranvier.engines.bench.report import Bench, Lap, faster
from ranvier.engines.bench.run import Course, bench
from ranvier.engines.bench.svg import drawing
from ranvier.engines.shape import read_shape
from ranvier.neurons.cli import app
from ranvier.neurons.cli.bench import bar

MIB = 1 << 20


def made(model: str, speeds: dict[int, float], unit: str = "tokens") -> Bench:
    laps = tuple(Lap(size=size, per_second=speed, resident=size * MIB) for size, speed in speeds.items())
    return Bench(
        model=model, engine="ranvier", unit=unit, device="cpu", device_name="a <CPU>", dtype="float32",
        threads=1, laps=laps,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(180)
async def test_a_worker_is_measured_and_its_death_survived(tiny_folder: Path) -> None:
    told: list[tuple[str, bool, int]] = []

    def say(what: str, lap: Lap | None, pid: int) -> None:
        told.append((what, lap is not None, pid))
        if what.startswith("2 ") and lap is None:
            os.kill(pid, signal.SIGKILL)  # as the kernel does where memory runs out

    course = Course(
        f"text={tiny_folder}", (4, 1, 2), dtype="float32", threads=1, tokens=Sizes(prompt=24, answer=16)
    )
    found = await bench(course, read_shape(tiny_folder), say)
    first, second = found.laps
    assert (found.engine, found.unit, found.device) == ("ranvier", "tokens", "cpu")
    assert first.size == 1
    assert first.per_second > 0
    assert first.prompt_per_second > 0
    assert first.per_cpu_second >= 0, "counted in ticks of the clock: of a lap so short there may be none"
    assert 0 < first.first_seconds < 60
    assert first.resident > 100 * MIB, "torch is in there"
    assert 0.5 < first.estimate / first.resident < 2
    assert second.size == 2
    assert "the worker was ended by SIGKILL; it was started again" in second.lack
    assert [what for what, *_ in told] == ["1 at once", "1 at once", "2 at once", "2 at once"], (
        "4 was not tried"
    )
    assert told[1][2] != told[3][2], "another worker serves"
    assert found.device_name, "and tells its device"


def test_no_two_prompts_begin_alike() -> None:
    heads = {prompt(number, 64)[:16] for number in range(2000)}
    assert len(heads) == 2000


def test_the_faster_one_is_named_at_each_size_that_both_ended() -> None:
    one, other = made("text=a", {1: 10, 8: 20, 32: 20}), made("text=b", {1: 5, 8: 40})
    assert [(size, best.model, times) for size, best, times, _ in faster([one, other])] == [
        (1, "text=a", 2.0),
        (8, "text=b", 2.0),
    ]
    assert faster([one]) == []


def test_the_drawing_is_svg_with_a_line_for_each_model() -> None:
    tree = ET.fromstring(drawing([made("a", {1: 10, 8: 20}), made("b", {1: 5, 2: 7, 8: 40})]))
    lines = [one for one in tree.iter() if one.tag.endswith("polyline")]
    assert [len(one.attrib["points"].split()) for one in lines] == [2, 3, 2, 3], "speed, then memory"
    heights = [float(point.split(",")[1]) for point in lines[1].attrib["points"].split()]
    assert heights == sorted(heights, reverse=True), "faster is higher"
    assert "a by ranvier, float32, cpu a <CPU>" in "".join(tree.itertext())
    assert ET.fromstring(drawing([made("none", {})])) is not None


def test_bars_have_eighths_of_cells() -> None:
    assert bar(1.0, 4) == "████"
    assert bar(0.5, 1) == "▌"
    assert bar(0.0, 4) == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["scenes", "--sizes", "1,x"], "numbers with commas"),
        (["scenes", "--sizes", "0"], "from 1 to 256"),
        (["scenes", "--plot", "b.png"], "ends in .svg"),
    ],
)
def test_bad_options_are_named(words: list[str], reason: str) -> None:
    done = CliRunner().invoke(app, ["models", "bench", *words], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert reason in done.output


def test_listings_are_for_people_and_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    monkeypatch.setattr("ranvier.engines.box._ASK", "import no_such_module")
    run = CliRunner()
    listed = json.loads(run.invoke(app, ["models", "list", "--json"]).output)
    assert {one["model"]: one["ready"] for one in listed}["image=scenes"]
    assert not {one["model"]: one["ready"] for one in listed}["text=smollm2"]
    (smollm2,) = (one for one in listed if one["model"] == "text=smollm2")
    assert (smollm2["licence"], smollm2["prepare"]) == ("Apache-2.0", "ranvier models prepare smollm2")
    table = run.invoke(app, ["models", "list"], env={"COLUMNS": "140"}).output
    assert "not here: ranvier models prepare smollm2" in table
    fits = json.loads(run.invoke(app, ["models", "fit", "--gpu", "24", "--json"]).output)
    assert fits["box"]["gpus"] == []
    seven = [one for one in fits["guide"] if one["model"] == "7B" and one["device"] == "24 GiB GPU"]
    assert [one["fits"] for one in seven] == [True, True]
    shown = run.invoke(app, ["models", "fit", "scenes"], env={"COLUMNS": "140"}).output
    assert "GPU     none: torch cannot be asked" in shown
    assert "image=scenes" in shown


def test_the_commands_import_no_torch() -> None:
    code = (
        "import sys, ranvier.neurons.cli.models, ranvier.engines.bench.run, ranvier.engines.bench.svg, "
        "ranvier.engines.catalog as c; c.entries(); "
        "sys.exit(bool({'torch', 'transformers', 'diffusers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
