"""Where the project and the real data for its tests lie."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]  # of the project
DATA = ROOT.parent / "shared" / "data"  # absent on other machines: tests skip
