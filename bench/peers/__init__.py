"""Lanewise side by side with other engines, on the networks of bench.networks or on any ONNX file.

`python -m bench.peers resnet50 --rounds 9` runs all engines interleaved, round by round, and prints
how they compare: subject.py finds what to run, measure.py takes the times, report.py says what they
mean. The engines themselves are those of `lanewise bench` (lanewise.benchmark).
"""
