"""MobileNet v2.

Paper: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and
linear bottlenecks", CVPR 2018, arXiv:1801.04381.

Table 2, width 1.0.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

# Expansion t, channels c, repeats n, stride s of the first.
STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def conv_bn_relu6(
    g: GraphBuilder, x: str, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> str:
    """Convolution, normalisation, and a rectifier that ends at 6."""
    return g.relu6(g.conv_bn(x, out, kernel, stride, groups))


def bottleneck(g: GraphBuilder, x: str, expansion: int, out: int, stride: int) -> str:
    """Expand, filter depthwise, project without a rectifier; add where shapes allow."""
    inner = expansion * g.size(x, 1)
    y = conv_bn_relu6(g, x, inner, 1) if expansion > 1 else x
    y = conv_bn_relu6(g, y, inner, 3, stride, groups=inner)
    if stride == 1 and g.size(x, 1) == out:
        return g.add(x, g.conv_bn(y, out, 1, gamma=0.5))
    return g.conv_bn(y, out, 1)


@network("mobilenet_v2", images(3, 224, 224))
def mobilenet_v2(g: GraphBuilder, x: str) -> None:
    """Seventeen inverted residuals."""
    x = conv_bn_relu6(g, x, 32, 3, stride=2)
    for expansion, out, repeats, stride in STAGES:
        for i in range(repeats):
            x = bottleneck(g, x, expansion, out, stride if i == 0 else 1)
    x = conv_bn_relu6(g, x, 1280, 1)
    g.output("prob", g.classifier(g.global_pool(x), 1000))
