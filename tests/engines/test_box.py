"""What a machine offers within its limits, a process's use of it, and how fast something goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ranvier.engines.box import limits_of, look, memory_now, multiplies_bfloat16
from ranvier.engines.rate import Rate
from ranvier.engines.usage import usage_of

GIB = 1 << 30


def machine(root: Path, files: dict[str, str]) -> Path:
    """A file system that says so."""
    for name, text in {"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_limits_it_is_what_the_kernel_says(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"})
    assert memory_now(root) == (8 * GIB, 6 * GIB)
    assert limits_of(root).cores is None


def test_a_container_of_version_2_is_as_large_as_its_narrowest_group(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "sys/fs/cgroup/pod/memory.max": str(3 * GIB),
            "sys/fs/cgroup/pod/memory.current": str(2 * GIB),
            "sys/fs/cgroup/pod/memory.stat": f"anon 1\ninactive_file {GIB}\nactive_file 0\n",
            "sys/fs/cgroup/pod/box/memory.max": "max",
            "sys/fs/cgroup/pod/box/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
        },
    )
    assert memory_now(root) == (3 * GIB, 2 * GIB), "cached files can be taken back"
    assert limits_of(root).cores == 1.5


def test_a_container_of_version_1(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": str(4 * GIB),
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": str(GIB),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
        },
    )
    assert memory_now(root) == (4 * GIB, 3 * GIB)
    assert limits_of(root).cores == 2.0


@pytest.mark.parametrize(
    ("said", "able"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512dq avx512vl avx512bw\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512vl\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        ("", False),
    ],
    ids=["server", "laptop", "some of it", "arm", "older arm", "nothing is said"],
)
def test_a_processor_says_whether_it_multiplies_bfloat16(tmp_path: Path, said: str, able: bool) -> None:
    assert multiplies_bfloat16(machine(tmp_path, {"proc/cpuinfo": said})) is able


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="this system does not say what processors can")
def test_torch_sees_this_processor_as_we_do() -> None:
    pytest.importorskip("torch")
    from ranvier.engines.wide import ABLE

    assert multiplies_bfloat16() is bool(ABLE())


@pytest.mark.models
def test_this_machine_is_seen_and_an_absent_gpu_has_a_reason() -> None:
    pytest.importorskip("torch")
    box = look()
    assert 0 < box.available <= box.memory
    assert 0 < box.cores <= (os.cpu_count() or 1)
    assert bool(box.gpus) != bool(box.lack)


def test_without_torch_the_reason_is_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranvier.engines.box._ASK", "import no_such_module")
    box = look()
    assert box.gpus == ()
    assert "No module named 'no_such_module'" in box.lack


def test_a_process_is_counted_and_a_gone_one_is_not() -> None:
    used = usage_of(os.getpid())
    assert used is not None
    assert 0 < used.resident <= used.peak
    assert used.cpu_seconds > 0
    assert usage_of(0) is None


def test_a_pace_is_the_mean_of_the_last_ten_seconds() -> None:
    now = 100.0
    rate = Rate(lambda: now)
    assert rate.value() == 0.0
    for now in (100.0, 100.4, 105.0):  # noqa: B007  the clock reads it
        rate.add(20)
    assert rate.value() == pytest.approx(60 / 10.0)
    now = 111.5
    assert rate.value() == pytest.approx(20 / 10.5)
    now = 130.0
    assert rate.value() == 0.0
