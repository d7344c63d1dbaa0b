"""SE-ResNet-50.

Paper: J. Hu, L. Shen, G. Sun, "Squeeze-and-excitation networks", CVPR 2018, arXiv:1709.01507.

SE-ResNet-50 of table 1, reduction ratio 16; the two layers of the excitation are 1 x 1
convolutions.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network
from .resnet import bottleneck, classify


def gated(g: GraphBuilder, x: str, width: int, stride: int) -> str:
    """A bottleneck whose channels are scaled by what the whole map says of them."""
    x = bottleneck(g, x, width, stride)
    channels = g.size(x, 1)
    squeezed = g.conv_relu(g.op("GlobalAveragePool", x), channels // 16, 1)
    return g.op("Mul", x, g.op("Sigmoid", g.conv(squeezed, channels, 1, gain=1.0)))


@network("se_resnet50", images(3, 224, 224))
def se_resnet50(g: GraphBuilder, x: str) -> None:
    """ResNet-50 with gated branches."""
    classify(g, x, gated, (3, 4, 6, 3))
