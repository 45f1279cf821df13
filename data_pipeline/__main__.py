"""Entry point of `python -m data_pipeline STAGE`; see `cli/parser.py`.

Worker processes that read clips import their parent's main module. The command
line is imported under the guard, so that they do not wait for JAX.
"""

import sys

if __name__ == "__main__":
  from data_pipeline.cli import parser

  sys.exit(parser.main())
