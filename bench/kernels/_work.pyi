"""Layers and kernels that run, compiled by the target `kernel_bench`."""

class Layer:
    """One convolution layer, lowered as a model would."""

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        outputs: int,
        kernel: int,
        stride: int,
        pad: int,
        group: int,
        batch: int,
        isa: str,
        threads: int,
        force: str,
    ) -> None: ...
    def run(self) -> None: ...
    @property
    def flops(self) -> float: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def refused(self) -> list[tuple[str, str]]: ...

class Work:
    """One call of a kernel."""

    def run(self) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def flops(self) -> float: ...
    @property
    def bytes(self) -> float: ...

def works(kernel: str, isa: str) -> list[Work]: ...
def versions() -> list[tuple[str, str]]: ...
def peak(isa: str) -> float: ...
