"""LeNet-5.

Paper: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998.

As it is built today: rectifiers and max pooling for the sigmoids and trained subsampling, every map
of the second convolution connected to all before it, and a softmax at the end. So small that a run
is mostly the cost of a call.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


@network("lenet5", images(1, 32, 32))
def lenet5(g: GraphBuilder, x: str) -> None:
    """Two convolutions, three fully connected layers."""
    x = g.max_pool(g.relu(g.conv(x, 6, 5, pad=0)), 2, 2)
    x = g.max_pool(g.relu(g.conv(x, 16, 5, pad=0)), 2, 2)
    x = g.relu(g.dense(g.flatten(x), 120))
    x = g.relu(g.dense(x, 84))
    g.output("prob", g.classifier(x, 10))
