"""ShuffleNet v2.

Paper: N. Ma, X. Zhang, H.-T. Zheng, J. Sun, "ShuffleNet V2: practical guidelines for efficient CNN
architecture design", ECCV 2018, arXiv:1807.11164.

Table 5, width 1.0.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


def branch(g: GraphBuilder, x: str, out: int, stride: int) -> str:
    """1 x 1, depthwise 3 x 3, 1 x 1."""
    x = g.conv_bn_relu(x, out, 1)
    return g.conv_bn_relu(g.conv_bn(x, out, 3, stride, groups=out), out, 1)


def unit(g: GraphBuilder, x: str, out: int, halve: bool) -> str:
    """Figure 3(c), or 3(d) where it halves the map."""
    if halve:
        channels = g.size(x, 1)
        left = g.conv_bn_relu(g.conv_bn(x, channels, 3, 2, groups=channels), out // 2, 1)
        return g.shuffle(g.concat(left, branch(g, x, out // 2, 2)), 2)
    left, right = g.halves(x)
    return g.shuffle(g.concat(left, branch(g, right, out // 2, 1)), 2)


@network("shufflenet_v2_x1.0", images(3, 224, 224))
def shufflenet_v2(g: GraphBuilder, x: str) -> None:
    """Three stages of split and shuffled units."""
    x = g.max_pool(g.conv_bn_relu(x, 24, 3, stride=2), 3, 2, pad=1)
    for stage, (out, depth) in enumerate(((116, 4), (232, 8), (464, 4)), start=2):
        for block in range(depth):
            with g.scope(f"stage{stage}/unit{block}"):
                x = unit(g, x, out, halve=block == 0)
    x = g.conv_bn_relu(x, 1024, 1)
    g.output("prob", g.classifier(g.global_pool(x), 1000))
