"""The published networks on CPU and GPU, and the page that says which of them pays when.

`python -m bench.suite` measures what `lanewise bench` measures, on the networks of bench.networks,
and writes docs/cpu-vs-gpu.md with its plots: anchors.py holds figures of the past, page.py writes.
"""
