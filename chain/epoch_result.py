"""What one epoch decides, in the forms the chain stores."""

from __future__ import annotations

from dataclasses import dataclass

from ranvier.chain.sparse import SparseRows


@dataclass(frozen=True)
class EpochResult:
    """One entry per uid in every tuple. Ratios are u16 (65535 is one), emissions are rao.

    `rank` equals `incentive`: the runtime normalises ranks in place before it stores them. `server_emission`
    and `validator_emission` are what is paid, each the floor of its share, and together never exceed the
    emission given to the epoch; `emission` is the floor of the combined share and may be 1 rao above their
    sum. Where nobody earns, `validator_emission` follows stake. `pruning` is the combined share upscaled so
    that the best neuron has 65535. `bonds` keeps only rows whose uid has a new permit, and only entries above
    zero.
    """

    active: tuple[bool, ...]
    permits: tuple[bool, ...]
    rank: tuple[int, ...]
    trust: tuple[int, ...]
    consensus: tuple[int, ...]
    incentive: tuple[int, ...]
    dividends: tuple[int, ...]
    validator_trust: tuple[int, ...]
    pruning: tuple[int, ...]
    server_emission: tuple[int, ...]
    validator_emission: tuple[int, ...]
    emission: tuple[int, ...]
    bonds: SparseRows
