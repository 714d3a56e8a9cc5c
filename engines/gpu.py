"""A device as the process that uses it sees it. Imports torch only where the device is a GPU."""

from __future__ import annotations

from ranvier.engines.box import cpu_name, memory_now
from ranvier.engines.states import DeviceState


def device_state(device: str) -> DeviceState:
    """Its name and memory now."""
    if not device.startswith("cuda"):
        total, free = memory_now()
        return DeviceState(device=device, name=cpu_name(), total=total, free=free)
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return DeviceState(
        device=device,
        name=torch.cuda.get_device_name(device),
        total=total,
        free=free,
        allocated=torch.cuda.memory_allocated(device),
        reserved=torch.cuda.memory_reserved(device),
        peak=torch.cuda.max_memory_allocated(device),
    )
