"""ResNet-18, ResNet-50 and ResNet-152.

Paper: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
arXiv:1512.03385.

Table 1, with projection shortcuts (option B). Bottlenecks that halve the map do so in their 3 x 3
convolution, as in fb.resnet.torch and all later work; table 1 does not say which layer has the
stride.
"""

from collections.abc import Callable, Sequence

from .builder import GraphBuilder
from .inputs import images
from .registry import network

# The last normalisation of a residual branch starts near zero in training (Goyal et al.,
# arXiv:1706.02677) and stays small; so does the sum of 50 branches here.
BRANCH = 0.3

# A residual branch: (graph, input, width, stride) -> output, whose channels decide the shortcut's.
Branch = Callable[[GraphBuilder, str, int, int], str]


def basic(g: GraphBuilder, x: str, width: int, stride: int) -> str:
    """Two 3 x 3 convolutions."""
    return g.conv_bn(g.conv_bn_relu(x, width, 3, stride), width, 3, gamma=BRANCH)


def bottleneck(
    g: GraphBuilder, x: str, width: int, stride: int, groups: int = 1, inner: int = 1
) -> str:
    """1 x 1 to `inner` times the width, 3 x 3 in groups, and 1 x 1 to four times the width."""
    x = g.conv_bn_relu(x, inner * width, 1)
    x = g.conv_bn_relu(x, inner * width, 3, stride, groups)
    return g.conv_bn(x, 4 * width, 1, gamma=BRANCH)


def classify(g: GraphBuilder, x: str, branch: Branch, depths: Sequence[int]) -> None:
    """The whole network around one kind of residual branch."""
    x = g.max_pool(g.conv_bn_relu(x, 64, 7, stride=2), 3, 2, pad=1)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            with g.scope(f"stage{stage + 2}/block{block}"):
                stride = 2 if stage > 0 and block == 0 else 1
                y = branch(g, x, 64 << stage, stride)
                if g.size(x, 1) != g.size(y, 1):
                    x = g.conv_bn(x, g.size(y, 1), 1, stride)
                x = g.relu(g.add(y, x))
    g.output("prob", g.classifier(g.global_pool(x), 1000))


@network("resnet18", images(3, 224, 224))
def resnet18(g: GraphBuilder, x: str) -> None:
    """Table 1, 18 layers."""
    classify(g, x, basic, (2, 2, 2, 2))


@network("resnet50", images(3, 224, 224))
def resnet50(g: GraphBuilder, x: str) -> None:
    """Table 1, 50 layers."""
    classify(g, x, bottleneck, (3, 4, 6, 3))


@network("resnet152", images(3, 224, 224))
def resnet152(g: GraphBuilder, x: str) -> None:
    """Table 1, 152 layers."""
    classify(g, x, bottleneck, (3, 8, 36, 3))
