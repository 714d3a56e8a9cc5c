"""The shape of a model on a hub, from its configuration and the heads of its files: kilobytes are fetched."""

from __future__ import annotations

import json
from pathlib import Path

from ranvier.engines.errors import MissingExtra, ModelNotFound
from ranvier.engines.shape import Shape, read_shape, shape_of


def hub_shape(name: str) -> Shape:
    """Of what is cached here, else of what the hub says. Raises `ModelNotFound` and `MissingExtra`."""
    try:
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    except ModuleNotFoundError as error:
        raise MissingExtra("models", "huggingface_hub") from error
    try:
        return read_shape(Path(snapshot_download(name, local_files_only=True)))
    except (OSError, ValueError, ModelNotFound):  # not cached, or not all of it
        pass
    try:
        config = json.loads(Path(hf_hub_download(name, "config.json")).read_text())
        heads = HfApi().get_safetensors_metadata(name).files_metadata.values()
        disk = sum(
            max(tensor.data_offsets[1] for tensor in one.tensors.values()) for one in heads if one.tensors
        )
        counts: dict[str, int] = {}
        for one in heads:
            for stored, count in one.parameter_count.items():
                counts[stored] = counts.get(stored, 0) + count
        return shape_of(config, counts, disk)
    except Exception as error:
        said = next(iter(str(error).splitlines()), "")[:160]
        raise ModelNotFound(
            name,
            f"the hub did not tell its shape ({type(error).__name__}: {said})",
            "Name a folder with safetensors, or look at the network and the name.",
        ) from error
