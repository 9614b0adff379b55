"""A network that takes its time without computing, for as long as a test wants it to.

So that a training is under way when it is stopped, on a machine of any speed, and its rest is not
waited for.
"""

from pathlib import Path

MODULE = """
import time
from pathlib import Path

from sanity.archs.resnet import ResNet


class Slow(ResNet):
    def forward(self, x):
        if not x.is_meta and not Path({!r}).exists():
            time.sleep(0.05)
        return super().forward(x)
"""


class SlowNetwork:
    """The part in a directory of one's own, and what chooses it: five batches an epoch."""

    def __init__(self, place: Path) -> None:
        self._signal = place / "hurry"
        (place / "mine" / "arch").mkdir(parents=True)
        yaml = "defaults: [resnet8, _self_]\n_target_: slow.Slow\n"
        (place / "mine" / "arch" / "slow.yaml").write_text(yaml)
        (place / "mine" / "slow.py").write_text(MODULE.format(str(self._signal)))
        self.arguments = (f"--config-dir={place}/mine", "arch=slow", "arch.widths=[4,8,8]")

    def hurry(self) -> None:
        """From now on it is as fast as any."""
        self._signal.touch()
