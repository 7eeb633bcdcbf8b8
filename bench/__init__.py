"""Measurements: `python -m bench` runs them all and writes `bench/results/`.

What is measured, each in a folder of its own: `gates`, `executors`, `faults` (what agents notice of them), single
`parts`, the `cluster` under faults, the `soak` for hours, `faust` for comparison, and how well `injection` and
`behaviour` tell attacks from honest work. All of them use `harness`, and their results become `tables`. A module whose
name ends with `_child` is run by another one, in a process of its own.
"""
