"""Inception-BN (Inception v2).

Paper: S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing
internal covariate shift", ICML 2015, arXiv:1502.03167.

Inception-BN (Inception v2) of figure 5. As in the common ports, the maps keep the width that their
parts sum to (608 in 4c and 4d, 1056 in 4e), where the figure rounds down; and no convolution has a
bias, which BN would cancel.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

# 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool projection. Without a 1x1 the module
# halves the map, and its pooling has no projection.
Widths = tuple[int, int, int, int, int, int]
MODULES: dict[str, Widths] = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}
# The last module pools by maximum, the others by mean.
MAX_POOLED = "5b"


def inception(g: GraphBuilder, x: str, widths: Widths, pool_max: bool) -> str:
    """Four branches side by side, or three that halve the map."""
    one, three_in, three, double_in, double, pool = widths
    stride = 1 if one else 2
    branches = [g.conv_bn_relu(x, one, 1)] if one else []
    branches.append(g.conv_bn_relu(g.conv_bn_relu(x, three_in, 1), three, 3, stride))
    inner = g.conv_bn_relu(g.conv_bn_relu(x, double_in, 1), double, 3)
    branches.append(g.conv_bn_relu(inner, double, 3, stride))
    if one:
        pooled = g.max_pool(x, 3, 1, pad=1) if pool_max else g.avg_pool(x, 3, 1, pad=1)
        branches.append(g.conv_bn_relu(pooled, pool, 1))
    else:
        branches.append(g.max_pool(x, 3, 2, ceil=True))
    return g.concat(*branches)


def features(g: GraphBuilder, x: str) -> str:
    """Everything up to the mean over positions: [batch, 1024]."""
    x = g.max_pool(g.conv_bn_relu(x, 64, 7, stride=2), 3, 2, ceil=True)
    x = g.conv_bn_relu(g.conv_bn_relu(x, 64, 1), 192, 3)
    x = g.max_pool(x, 3, 2, ceil=True)
    for name, widths in MODULES.items():
        with g.scope(f"inception_{name}"):
            x = inception(g, x, widths, name == MAX_POOLED)
    return g.global_pool(x)


@network("inception_bn", images(3, 224, 224))
def inception_bn(g: GraphBuilder, x: str) -> None:
    """The features and a classifier."""
    g.output("prob", g.classifier(features(g, x), 1000))
