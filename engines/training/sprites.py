"""Pictures of things by two artists, out of pinned npm packages: only training needs them.

`fetch` runs ``npm pack`` (so npm must be installed) and checks what it brought against the digests below. Licences and
attributions of the artists' work are in the model's LICENSES.md.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ranvier.engines.errors import PrepareFailed
from ranvier.engines.training.objects import OBJECTS


@dataclass(frozen=True, slots=True)
class Package:
    """An artist's set: an npm package, its digest, and the folder of its 64-pixel pictures."""

    name: str
    version: str
    sha256: str
    folder: str

    @property
    def archive(self) -> str:
        """The file that ``npm pack`` writes."""
        return f"{self.name}-{self.version}.tgz"


PACKAGES: Final = (
    Package(
        "emoji-datasource-google",
        "15.1.2",
        "d44462c604b8b8ddeea1bded87031fe73beadd92b9569d977dbd6224e45dc850",
        "package/img/google/64",
    ),
    Package(
        "emoji-datasource-twitter",
        "15.1.2",
        "d0a0fe56a746fac2f360ebde72c7d6949ee0fc0c683758a288d82bd6b75e15d6",
        "package/img/twitter/64",
    ),
)


def fetch(folder: Path, packages: Sequence[Package] = PACKAGES) -> None:
    """Bring the packages into ``folder``; those that are there are only checked. Raises `PrepareFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        path = folder / package.archive
        if not path.exists():
            _pack(package, folder)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != package.sha256:
            raise PrepareFailed(
                package.name,
                f"{path} has the digest {found}, not {package.sha256}",
                "Delete the file and try again.",
            )


def _pack(package: Package, folder: Path) -> None:
    command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except OSError as error:
        raise PrepareFailed(package.name, f"npm cannot be run ({error})", "Install npm.") from error
    except subprocess.CalledProcessError as error:
        cause = f"{' '.join(command)}: {error.stderr.strip()[-300:]}"
        raise PrepareFailed(package.name, cause, f"Put {package.archive} into {folder} yourself.") from error


def load(folder: Path, packages: Sequence[Package] = PACKAGES) -> dict[str, list[Any]]:
    """For each word of `OBJECTS` one RGBA image (64x64) of each artist. Raises `PrepareFailed`."""
    fetch(folder, packages)
    found: dict[str, list[Any]] = {name: [] for name in OBJECTS}
    for package in packages:
        with tarfile.open(folder / package.archive) as archive:
            for name, code in OBJECTS.items():
                picture = archive.extractfile(f"{package.folder}/{code}.png")
                if picture is None:
                    raise PrepareFailed(package.name, f"{code}.png is no file", "Name another version.")
                found[name].append(Image.open(io.BytesIO(picture.read())).convert("RGBA"))
    return found


def stamp(
    image: Any, size: int, centre: tuple[float, float], diameter: float, turn: float
) -> npt.NDArray[Any]:
    """The image on an empty canvas: float RGBA in [0, 255], premultiplied colour, shape (size, size, 4).

    ``centre`` and ``diameter`` are in pixels of the canvas, ``turn`` in radians.
    """
    # Drawn four times as large and averaged: nearest pixels of a shrunk picture would sparkle.
    scale, middle = image.width / diameter / 4, image.width / 2
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    cx, cy = (value * 4 for value in centre)
    matrix = (cos, sin, middle - cos * cx - sin * cy, -sin, cos, middle + sin * cx - cos * cy)
    large = image.transform((size * 4, size * 4), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    pixels = np.asarray(large, dtype=np.float32)
    pixels = np.dstack([pixels[..., :3] * pixels[..., 3:] / 255, pixels[..., 3]])
    averaged: npt.NDArray[Any] = pixels.reshape(size, 4, size, 4, 4).mean((1, 3))
    return averaged
