"""Entry point of `python -m benchmarks.lift`; see `lifting.py`.

Worker processes that read clips import their parent's main module, so that it
must be cheap to import.
"""

if __name__ == "__main__":
  from benchmarks import lifting

  lifting.main()
