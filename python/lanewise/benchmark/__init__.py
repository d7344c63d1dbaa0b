"""Timing models on engines and devices, for `lanewise bench` and for the repository's benches.

engines.py runs one engine, cases.py says which engine runs how, turns.py takes the times,
session.py measures one model and run.py several, rows.py holds what they found, figures.py and
verdict.py are the arithmetic, report.py and plots.py show it; nvml.py, energy.py and peaks.py ask
the machine.
"""
