"""Find and train a ticket: train-dense -> prune -> rewind -> train-ticket.

python run.py                                     a lottery ticket on digits
python run.py pruner=snip sanity_check=rearrange  does SNIP need the positions it chose?
python run.py --help                              every choice and setting
"""

if __name__ == "__main__":  # before all that takes time: Ctrl-C ends it in one line from here on
    from sanity.core import shutdown

    shutdown.begin("run.py")

import hydra
from omegaconf import DictConfig

from sanity.cli import entry as cli
from sanity.core import output


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    """Run one configuration; the value returned is what Hydra's sweepers optimise."""
    from sanity.pipeline import run  # imports torch, which --help and completion do not need

    return cli.job(run, cfg)


if __name__ == "__main__":
    output.take_any_text()
    cli.start(main)
