"""The benchmarks behind `wayline bench`: each starts what it needs, and compares with its limit in the same run."""
