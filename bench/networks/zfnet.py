"""ZFNet.

Paper: M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
arXiv:1311.2901.

Figure 3. Its contrast normalisation is AlexNet's local response normalisation, as in common ports.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


@network("zfnet", images(3, 224, 224))
def zfnet(g: GraphBuilder, x: str) -> None:
    """Five convolutions, three fully connected layers."""
    x = g.relu(g.conv(x, 96, 7, stride=2, pad=1))
    x = g.lrn(g.max_pool(x, 3, 2, pad=1))
    x = g.relu(g.conv(x, 256, 5, stride=2, pad=0))
    x = g.lrn(g.max_pool(x, 3, 2, pad=1))
    x = g.conv_relu(x, 384, 3)
    x = g.conv_relu(x, 384, 3)
    x = g.conv_relu(x, 256, 3)
    x = g.flatten(g.max_pool(x, 3, 2))
    x = g.relu(g.dense(x, 4096))
    x = g.relu(g.dense(x, 4096))
    g.output("prob", g.classifier(x, 1000))
