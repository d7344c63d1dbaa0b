"""VGG-16 and VGG-19.

Paper: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image
recognition", ICLR 2015, arXiv:1409.1556.

Configurations D (VGG-16) and E (VGG-19) of table 1.
"""

from collections.abc import Sequence

from .builder import GraphBuilder
from .inputs import images
from .registry import network

WIDTHS = (64, 128, 256, 512, 512)


def stage(g: GraphBuilder, x: str, width: int, depth: int) -> str:
    """`depth` 3 x 3 convolutions of one width, without the pooling that follows."""
    for _ in range(depth):
        x = g.conv_relu(x, width, 3)
    return x


def classify(g: GraphBuilder, x: str, depths: Sequence[int]) -> None:
    """The whole network; `depths` counts the convolutions of each stage."""
    for width, depth in zip(WIDTHS, depths, strict=True):
        x = g.max_pool(stage(g, x, width, depth), 2, 2)
    x = g.flatten(x)
    x = g.relu(g.dense(x, 4096))
    x = g.relu(g.dense(x, 4096))
    g.output("prob", g.classifier(x, 1000))


@network("vgg16", images(3, 224, 224))
def vgg16(g: GraphBuilder, x: str) -> None:
    """Configuration D."""
    classify(g, x, (2, 2, 3, 3, 3))


@network("vgg19", images(3, 224, 224))
def vgg19(g: GraphBuilder, x: str) -> None:
    """Configuration E."""
    classify(g, x, (2, 2, 4, 4, 4))
