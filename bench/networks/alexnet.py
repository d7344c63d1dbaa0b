"""AlexNet.

Paper: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional
neural networks", NIPS 2012.

The two halves of the two-GPU network stand as groups; the input is 227 x 227, for which its sizes
add up.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


@network("alexnet", images(3, 227, 227))
def alexnet(g: GraphBuilder, x: str) -> None:
    """Five convolutions, three fully connected layers."""
    x = g.relu(g.conv(x, 96, 11, stride=4, pad=0))
    x = g.max_pool(g.lrn(x, bias=2.0), 3, 2)
    x = g.relu(g.conv(x, 256, 5, groups=2))
    x = g.max_pool(g.lrn(x, bias=2.0), 3, 2)
    x = g.relu(g.conv(x, 384, 3))
    x = g.relu(g.conv(x, 384, 3, groups=2))
    x = g.relu(g.conv(x, 256, 3, groups=2))
    x = g.flatten(g.max_pool(x, 3, 2))
    x = g.relu(g.dense(x, 4096))
    x = g.relu(g.dense(x, 4096))
    g.output("prob", g.classifier(x, 1000))
