"""SRGAN's generator (SRResNet).

Paper: C. Ledig et al., "Photo-realistic single image super-resolution using a generative
adversarial network", CVPR 2017, arXiv:1609.04802.

The generator of figure 4 (SRResNet): 16 residual blocks, four times larger by two sub-pixel
convolutions.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


@network("srgan_generator", images(3, 64, 64))
def srgan_generator(g: GraphBuilder, x: str) -> None:
    """An image four times as large in each direction."""
    first = x = g.prelu(g.conv(x, 64, 9))
    for _ in range(16):
        y = g.prelu(g.conv_bn(x, 64, 3))
        x = g.add(x, g.conv_bn(y, 64, 3, gamma=0.3))
    x = g.add(first, g.conv_bn(x, 64, 3))
    for _ in range(2):
        x = g.op("DepthToSpace", g.conv(x, 256, 3), blocksize=2, mode="CRD")
        x = g.prelu(x)
    g.output("image", g.conv(x, 3, 9, gain=1.0))
