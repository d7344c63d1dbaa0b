"""CUDA without a GPU: the backend on stand-ins of its libraries."""
