"""Networks and comparisons to measure Lanewise with; no part of the installed package."""
