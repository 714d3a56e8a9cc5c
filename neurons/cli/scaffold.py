"""``ranvier new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="The subnet's name: small letters, digits and _.")],
    folder: Annotated[Path, typer.Option("--in", help="Where the package's folder is made.")] = Path(),
) -> None:
    """Make a package for a subnet of your own, with its miner, cheats and tests."""
    from ranvier.subnets.scaffold import create

    made = create(name, folder)
    typer.echo(f"made {made}; next: pip install -e {made} && python -m pytest {made}")
