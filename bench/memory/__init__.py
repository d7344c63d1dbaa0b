"""Peak memory and loading time of Lanewise beside other engines, each in a process of its own.

`python -m bench.memory resnet50` prints the table: child.py is what one process does.
"""
