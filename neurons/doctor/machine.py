"""The machine and the environment: Python, packages, limits."""

from __future__ import annotations

import resource
import sys
from typing import Final

from ranvier.neurons.doctor.finding import Finding, fail, ok, warn
from ranvier.neurons.doctor.versions import DISTRIBUTION, installed, requirements

OLDEST: Final = (3, 11)
FEW_FILES: Final = 1024
EXTRAS: Final = ("models", "subtensor")
"""Those that add abilities; ``dev`` is for work on Ranvier itself."""


def python() -> Finding:
    """The interpreter's version."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST:
        return fail("python", f"Python {found}", "use Python 3.11 or newer")
    return ok("python", f"Python {found} at {sys.prefix}")


def packages() -> Finding:
    """The base install is whole, in versions that fit."""
    version, needed = installed(DISTRIBUTION), [one for one in requirements() if not one.extra]
    if version is None:
        step = "install it, in a checkout with `pip install -e .`: plugins are found through its metadata"
        return warn("packages", "Ranvier is not installed in this environment", step)
    problems = [problem for one in needed if (problem := one.problem())]
    if problems:
        return fail("packages", "; ".join(problems), "`pip install --upgrade ranvier`")
    return ok("packages", f"ranvier {version}, and its {len(needed)} packages fit")


def extras() -> Finding:
    """Which extras are there, whole; what a node needs of them is checked with the node."""
    said = []
    for extra in EXTRAS:
        needed = [one for one in requirements() if one.extra == extra]
        problems = [problem for one in needed if (problem := one.problem())]
        present = [one for one in needed if installed(one.name) is not None]
        # A package that others use, too, does not show that the extra was wanted.
        if problems and needed[0] in present:
            return warn("extras", f"{extra}: {'; '.join(problems)}", f"`pip install 'ranvier[{extra}]'`")
        said.append(f"{extra}: {'not installed' if problems or not needed else 'whole'}")
    return ok("extras", ", ".join(said))


def files() -> Finding:
    """How many files and sockets the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("open files", "no limit")
    if soft < FEW_FILES:
        step = "raise it: `ulimit -n 65536`, or LimitNOFILE= in the unit"
        return warn("open files", f"at most {soft}, and every peer takes one", step)
    return ok("open files", f"at most {soft}")
