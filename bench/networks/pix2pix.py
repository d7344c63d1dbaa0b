"""pix2pix's generator.

Paper: P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, "Image-to-image translation with conditional
adversarial networks", CVPR 2017, arXiv:1611.07004.

The U-Net generator of section 6.1 for 256 x 256 images. At test time its normalisation uses the
statistics of the one image (section 3.3), that is instance normalisation; dropout is left out.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

ENCODER = (64, 128, 256, 512, 512, 512, 512, 512)


@network("pix2pix_generator", images(3, 256, 256))
def pix2pix_generator(g: GraphBuilder, x: str) -> None:
    """Eight layers down, eight up, with a skip at every size."""
    skips: list[str] = []
    for depth, width in enumerate(ENCODER):
        x = g.conv(
            g.op("LeakyRelu", x, alpha=0.2) if skips else x, width, 4, stride=2, pad=1, bias=False
        )
        # Neither the first layer nor the last, whose map is a single point, is normalised.
        x = g.instance_norm(x) if 0 < depth < len(ENCODER) - 1 else x
        skips.append(x)
    x = skips.pop()
    while skips:
        skip = skips.pop()
        x = g.instance_norm(g.deconv(g.relu(x), g.size(skip, 1), 4, stride=2, pad=1, bias=False))
        x = g.concat(skip, x)
    g.output("image", g.op("Tanh", g.deconv(g.relu(x), 3, 4, stride=2, pad=1)))
