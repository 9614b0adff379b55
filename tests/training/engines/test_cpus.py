"""Kernels for CPUs with fewer features than this one has, as LLVM can be told."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from llvmlite import binding

from sanity.core.config import PROJECT

CPUS = {
    "avx512": ("x86-64-v4", "+avx512f,+avx512vl,+avx2,+fma"),
    "avx2": ("x86-64-v3", "+avx2,+fma"),
    "portable": ("x86-64-v2", "+sse4.2"),
}
TESTS = "test_gradients_are_those_of_float64 and (20-preactivation or 3-resnet) or test_convolution"


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_every_cpu_computes_the_same(cpu: str, tmp_path: Path) -> None:
    name, features = CPUS[cpu]
    host = binding.get_host_cpu_features()
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the names are those of x86-64")
    if cpu == "avx512" and not host.get("avx512f"):
        pytest.skip("this CPU has no AVX-512")
    env = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    shown = "from sanity.training.engines.compiled import cpu; print(cpu().name)"
    said = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == cpu
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TESTS]
    places = [
        str(Path(__file__).with_name(f"test_{name}.py")) for name in ("sparse", "convolution")
    ]
    done = subprocess.run(
        [*command, *places, "--basetemp", str(tmp_path / "inner")],
        cwd=PROJECT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
