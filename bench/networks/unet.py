"""U-Net.

Paper: O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for biomedical image
segmentation", MICCAI 2015, arXiv:1505.04597.

Figure 1: unpadded convolutions, a 572 x 572 tile in and 388 x 388 out.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


def double_conv(g: GraphBuilder, x: str, out: int) -> str:
    """Two unpadded 3 x 3 convolutions."""
    for _ in range(2):
        x = g.relu(g.conv(x, out, 3, pad=0))
    return x


def cropped(g: GraphBuilder, x: str, like: str) -> str:
    """The middle of `x`, as large as `like`."""
    size = g.size(like, 2)
    start = (g.size(x, 2) - size) // 2
    return g.slice(g.slice(x, 2, start, start + size), 3, start, start + size)


@network("unet", images(1, 572, 572))
def unet(g: GraphBuilder, x: str) -> None:
    """Four levels down and up; probabilities of foreground and background."""
    skips = []
    for width in (64, 128, 256, 512):
        skips.append(double_conv(g, x, width))
        x = g.max_pool(skips[-1], 2, 2)
    x = double_conv(g, x, 1024)
    for width in (512, 256, 128, 64):
        up = g.deconv(x, width, 2, stride=2, pad=0)
        x = double_conv(g, g.concat(cropped(g, skips.pop(), up), up), width)
    g.output("prob", g.softmax(g.conv(x, 2, 1, gain=0.05), axis=1))
