"""SqueezeNet 1.1.

Paper: F. N. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size", 2016, arXiv:1602.07360.

The authors' release 1.1: 3 x 3 first layer and earlier pooling, 2.4 times less arithmetic than the
paper's 1.0.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


def fire(g: GraphBuilder, x: str, squeeze: int, expand: int) -> str:
    """A 1 x 1 squeeze, then 1 x 1 and 3 x 3 expansions side by side."""
    x = g.conv_relu(x, squeeze, 1)
    return g.concat(g.conv_relu(x, expand, 1), g.conv_relu(x, expand, 3))


@network("squeezenet1.1", images(3, 224, 224))
def squeezenet(g: GraphBuilder, x: str) -> None:
    """Eight fire modules; the last convolution is the classifier."""
    x = g.relu(g.conv(x, 64, 3, stride=2, pad=0))
    for stage in (
        ((16, 64), (16, 64)),
        ((32, 128), (32, 128)),
        ((48, 192), (48, 192), (64, 256), (64, 256)),
    ):
        x = g.max_pool(x, 3, 2, ceil=True)
        for squeeze, expand in stage:
            x = fire(g, x, squeeze, expand)
    g.output("prob", g.softmax(g.global_pool(g.relu(g.conv(x, 1000, 1, gain=0.2)))))
