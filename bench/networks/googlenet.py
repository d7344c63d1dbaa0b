"""GoogLeNet.

Paper: C. Szegedy et al., "Going deeper with convolutions", CVPR 2015, arXiv:1409.4842.

Table 1, without the auxiliary classifiers, which only training uses.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
Widths = tuple[int, int, int, int, int, int]
STAGES: tuple[tuple[Widths, ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def inception(g: GraphBuilder, x: str, widths: Widths) -> str:
    """Four branches side by side."""
    one, three_in, three, five_in, five, pool = widths
    return g.concat(
        g.conv_relu(x, one, 1),
        g.conv_relu(g.conv_relu(x, three_in, 1), three, 3),
        g.conv_relu(g.conv_relu(x, five_in, 1), five, 5),
        g.conv_relu(g.max_pool(x, 3, 1, pad=1), pool, 1),
    )


@network("googlenet", images(3, 224, 224))
def googlenet(g: GraphBuilder, x: str) -> None:
    """The stem, nine inception modules, one classifier."""
    x = g.lrn(g.max_pool(g.conv_relu(x, 64, 7, stride=2), 3, 2, ceil=True))
    x = g.lrn(g.conv_relu(g.conv_relu(x, 64, 1), 192, 3))
    for number, stage in enumerate(STAGES, start=3):
        x = g.max_pool(x, 3, 2, ceil=True)
        for letter, widths in zip("abcde", stage, strict=False):
            with g.scope(f"inception_{number}{letter}"):
                x = inception(g, x, widths)
    g.output("prob", g.classifier(g.global_pool(x), 1000))
