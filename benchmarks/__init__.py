"""What is timed, against what, and the goals it is held to: `python -m benchmarks [NAMES…] [--quick] [--out FILE]`.

Every figure of speed is a ratio of contenders that take turns in one process run (measure.py), because a machine
drifts by more than most differences are worth. The benches know Limner; Limner knows nothing of them.
"""
