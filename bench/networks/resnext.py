"""ResNeXt-50 (32x4d).

Paper: S. Xie, R. Girshick, P. Dollar, Z. Tu, K. He, "Aggregated residual transformations for deep
neural networks", CVPR 2017, arXiv:1611.05431.

ResNeXt-50 (32x4d) of table 1.
"""

from functools import partial

from .builder import GraphBuilder
from .inputs import images
from .registry import network
from .resnet import bottleneck, classify


@network("resnext50_32x4d", images(3, 224, 224))
def resnext50(g: GraphBuilder, x: str) -> None:
    """ResNet-50 with 32 groups of four channels."""
    classify(g, x, partial(bottleneck, groups=32, inner=2), (3, 4, 6, 3))
