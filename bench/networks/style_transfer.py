"""Feed-forward style transfer.

Paper: J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual losses for real-time style transfer and
super-resolution", ECCV 2016, arXiv:1603.08155.

The image transformation network of its supplementary table 1, with what its users settled on since:
instance normalisation (Ulyanov et al., arXiv:1607.08022), reflection in place of zeros at every
edge, and enlargement by nearest neighbours before a convolution in place of a fractional stride
(Odena et al., Distill 2016).
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


def conv(g: GraphBuilder, x: str, out: int, kernel: int, stride: int = 1, gain: float = 2.0) -> str:
    """A convolution whose border is a reflection."""
    return g.conv(g.reflect_pad(x, kernel // 2), out, kernel, stride, pad=0, gain=gain)


def conv_norm_relu(g: GraphBuilder, x: str, out: int, kernel: int, stride: int = 1) -> str:
    """Convolution, instance normalisation, rectifier."""
    return g.relu(g.instance_norm(conv(g, x, out, kernel, stride)))


@network("style_transfer", images(3, 256, 256))
def style_transfer(g: GraphBuilder, x: str) -> None:
    """Two halvings, five residual blocks, two doublings."""
    x = conv_norm_relu(g, x, 32, 9)
    x = conv_norm_relu(g, x, 64, 3, stride=2)
    x = conv_norm_relu(g, x, 128, 3, stride=2)
    for _ in range(5):
        x = g.add(x, g.instance_norm(conv(g, conv_norm_relu(g, x, 128, 3), 128, 3)))
    x = conv_norm_relu(g, g.upsample(x, 2), 64, 3)
    x = conv_norm_relu(g, g.upsample(x, 2), 32, 3)
    g.output("image", conv(g, x, 3, 9, gain=1.0))
