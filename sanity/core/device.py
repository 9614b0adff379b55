"""Where a run computes: `device=auto` takes a GPU where there is one."""

import torch

from sanity.core.errors import ConfigError


def choose(name: str) -> torch.device:
    """The device ``name`` (auto, cpu, cuda, cuda:N, mps); ConfigError where there is none."""
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device={name}: choose auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device={name}: this machine has {torch.cuda.device_count()} CUDA devices"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device=mps: not available on this machine")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device={name}: choose auto, cpu, cuda, cuda:N or mps")
    return device


def use_exact_arithmetic() -> None:
    """Keep fp32 what it says: by default cuDNN rounds convolutions' inputs to 10 bits (TF32)."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
