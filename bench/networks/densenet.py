"""DenseNet-121.

Paper: G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely connected convolutional
networks", CVPR 2017, arXiv:1608.06993.

DenseNet-121 of table 1: growth rate 32, bottlenecks of four times that, compression 0.5
(DenseNet-BC).
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

GROWTH = 32


def bn_relu_conv(g: GraphBuilder, x: str, out: int, kernel: int) -> str:
    """Normalisation and rectifier come before the convolution."""
    return g.conv(g.relu(g.bn(x)), out, kernel, bias=False)


@network("densenet121", images(3, 224, 224))
def densenet121(g: GraphBuilder, x: str) -> None:
    """Four dense blocks with transitions between them."""
    x = g.max_pool(g.conv_bn_relu(x, 64, 7, stride=2), 3, 2, pad=1)
    for block, depth in enumerate((6, 12, 24, 16)):
        with g.scope(f"block{block}"):
            if block > 0:
                x = g.avg_pool(bn_relu_conv(g, x, g.size(x, 1) // 2, 1), 2, 2)
            for _ in range(depth):
                x = g.concat(x, bn_relu_conv(g, bn_relu_conv(g, x, 4 * GROWTH, 1), GROWTH, 3))
    g.output("prob", g.classifier(g.global_pool(g.relu(g.bn(x))), 1000))
