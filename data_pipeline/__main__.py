"""`python -m data_pipeline STAGE`: see `cli.py`.

Processes that read clips import their parent's main module: this one costs
them nothing, where the command line would cost each the seconds JAX takes.
"""

import sys

if __name__ == "__main__":
  from data_pipeline.cli import parser

  sys.exit(parser.main())
