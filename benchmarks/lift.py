"""`python -m benchmarks.lift`: see `lifting.py`.

Processes that read clips import their parent's main module: this one costs
them nothing.
"""

if __name__ == "__main__":
  from benchmarks import lifting

  lifting.main()
