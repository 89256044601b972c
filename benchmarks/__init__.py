"""What Kelola does in a second, beside what the same machine does without it, measured in the same run.

    make bench                         # all figures, to build/bench.json and as a table
    python -m benchmarks ping journal  # some of them
    python -m benchmarks --quick       # shorter, noisier

docs/benchmarks.md says what each figure means. Nothing here is asserted: a figure is a fact about one machine.
"""
