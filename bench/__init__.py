"""The committed benchmark: this node and its peers on the same model, the same bodies, in the same run.

`make bench` runs all of it and writes `bench/RESULTS.md`; `make bench CASES=mnist-binary ROUNDS=2` a part.
"""
