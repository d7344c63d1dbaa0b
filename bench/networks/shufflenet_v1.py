"""ShuffleNet v1.

Paper: X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: an extremely efficient convolutional neural
network for mobile devices", CVPR 2018, arXiv:1707.01083.

Table 1, three groups, width 1.0.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

GROUPS = 3


def unit(g: GraphBuilder, x: str, out: int, halve: bool, first: bool) -> str:
    """Figure 2(b), or 2(c) where it halves the map; 24 channels, at first, are too few to group."""
    channels, inner = g.size(x, 1), out // 4
    y = g.conv_bn_relu(x, inner, 1, groups=1 if first else GROUPS)
    y = g.conv_bn(g.shuffle(y, GROUPS), inner, 3, stride=2 if halve else 1, groups=inner)
    if halve:
        y = g.conv_bn(y, out - channels, 1, groups=GROUPS)
        return g.relu(g.concat(g.avg_pool(x, 3, 2, pad=1), y))
    return g.relu(g.add(x, g.conv_bn(y, out, 1, groups=GROUPS, gamma=0.5)))


@network("shufflenet_v1_g3", images(3, 224, 224))
def shufflenet_v1(g: GraphBuilder, x: str) -> None:
    """Three stages of shuffle units."""
    x = g.max_pool(g.conv_bn_relu(x, 24, 3, stride=2), 3, 2, pad=1)
    for stage, (out, depth) in enumerate(((240, 4), (480, 8), (960, 4)), start=2):
        for block in range(depth):
            with g.scope(f"stage{stage}/unit{block}"):
                x = unit(g, x, out, halve=block == 0, first=stage == 2 and block == 0)
    g.output("prob", g.classifier(g.global_pool(x), 1000))
