"""FCN-8s, fully convolutional segmentation.

Paper: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
CVPR 2015, arXiv:1411.4038.

FCN-8s on VGG-16, 21 classes. Each layer pads its own input; the paper pads the image by 100 pixels
and crops.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network
from .vgg import WIDTHS, stage

CLASSES = 21


@network("fcn8s", images(3, 256, 256))
def fcn8s(g: GraphBuilder, x: str) -> None:
    """Scores [N, classes, height, width], fused at strides 32, 16 and 8."""
    pools = []
    for width, depth in zip(WIDTHS, (2, 2, 3, 3, 3), strict=True):
        x = g.max_pool(stage(g, x, width, depth), 2, 2)
        pools.append(x)
    x = g.conv_relu(x, 4096, 7)
    x = g.conv_relu(x, 4096, 1)
    x = g.conv(x, CLASSES, 1, gain=1.0)
    for pool in (pools[3], pools[2]):
        up = g.deconv(x, CLASSES, 4, stride=2, pad=1, bias=False)
        x = g.add(up, g.conv(pool, CLASSES, 1, gain=1.0))
    g.output("score", g.deconv(x, CLASSES, 16, stride=8, pad=4, bias=False))
