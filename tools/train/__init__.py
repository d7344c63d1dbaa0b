"""Training scripts of the networks that `lanewise demo` runs.

Each module is one network: `python -m tools.train.<name>` trains it with fixed seeds on one core
in a few minutes and writes its .onnx and its held-out samples. `export` turns a trained PyTorch
network into ONNX; `photos` and `common` hold what the scripts share.
"""
