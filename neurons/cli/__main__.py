"""``python -m ranvier.neurons.cli``: the same as the console script."""

from __future__ import annotations

from ranvier.neurons.cli import main

main()
