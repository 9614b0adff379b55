"""LeNet-5 as Caffe has it (Jia et al. 2014), the one that is pruned in papers."""

import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError

SMALLEST_IMAGE = 16


class LeNet5(Network):
    """Two 5x5 convolutions, each followed by a 2x2 max-pool, and two linear layers.

    Wider than LeCun et al. 1998 have it: 20 and 50 channels, 500 hidden units, with 431,080
    parameters for 28x28 grey images of 10 classes. The one ReLU stands after the hidden linear
    layer, as in Caffe's ``lenet_train_test.prototxt`` and SNIP's code.
    Raises ConfigError for images that convolutions and max-pools reduce to nothing.
    """

    cites = ("lecun1998gradient", "jia2014caffe")

    def __init__(self, num_classes: int, in_channels: int = 3, image_size: int = 32) -> None:
        super().__init__((in_channels, image_size, image_size))
        _check(image_size)
        left = ((image_size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(in_channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * left**2, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes]."""
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def _check(image_size: int) -> None:
    if image_size < SMALLEST_IMAGE:
        raise ConfigError(
            f"arch=lenet5 needs dataset.image_size of at least {SMALLEST_IMAGE}, not {image_size}: "
            "choose lenet300_100 or larger images"
        )
