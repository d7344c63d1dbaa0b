"""C3D, a 3-D ConvNet for video.

Paper: D. Tran, L. Bourdev, R. Fergus, L. Torresani, M. Paluri, "Learning spatiotemporal features
with 3D convolutional networks", ICCV 2015, arXiv:1412.0767.

Figure 3, for clips of 16 frames and the 487 classes of Sports-1M.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network


@network("c3d", images(3, 16, 112, 112))
def c3d(g: GraphBuilder, x: str) -> None:
    """Eight 3 x 3 x 3 convolutions, three fully connected layers."""
    x = g.max_pool(g.conv_relu(x, 64, 3), (1, 2, 2), (1, 2, 2))
    x = g.max_pool(g.conv_relu(x, 128, 3), 2, 2)
    x = g.max_pool(g.conv_relu(g.conv_relu(x, 256, 3), 256, 3), 2, 2)
    x = g.max_pool(g.conv_relu(g.conv_relu(x, 512, 3), 512, 3), 2, 2)
    x = g.max_pool(g.conv_relu(g.conv_relu(x, 512, 3), 512, 3), 2, 2, pad=(0, 1, 1))
    x = g.flatten(x)
    x = g.relu(g.dense(x, 4096))
    x = g.relu(g.dense(x, 4096))
    g.output("prob", g.classifier(x, 487))
