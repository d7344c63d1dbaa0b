"""MobileNet v1.

Paper: A. G. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017, arXiv:1704.04861.

Table 1, width 1.0.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network

# Output channels and stride of each depthwise separable convolution.
LAYERS = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
]


@network("mobilenet_v1", images(3, 224, 224))
def mobilenet_v1(g: GraphBuilder, x: str) -> None:
    """Thirteen depthwise separable convolutions."""
    x = g.conv_bn_relu(x, 32, 3, stride=2)
    for out, stride in LAYERS:
        channels = g.size(x, 1)
        x = g.conv_bn_relu(x, channels, 3, stride, groups=channels)
        x = g.conv_bn_relu(x, out, 1)
    g.output("prob", g.classifier(g.global_pool(x), 1000))
