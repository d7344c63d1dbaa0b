"""Benches of convolution layers and of single kernels with google-benchmark.

`python -m bench.kernels --help` says how.
"""
