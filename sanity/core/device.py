"""Where a run computes: `device=auto` takes a GPU where there is one."""

import torch

from sanity.core.errors import ConfigError


def choose(name: str) -> torch.device:
    """The device ``name`` (auto, cpu, cuda, cuda:N, mps); ConfigError where there is none."""
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device={name}: choose auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices"
        )
    if device.type == "mps" and not has_mps:
        raise ConfigError("device=mps: not available on this machine")
    return device


def use_exact_arithmetic() -> None:
    """Keep fp32 what it says: by default cuDNN rounds convolutions' inputs to 10 bits (TF32)."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
