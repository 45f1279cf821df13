"""The data set `prompt2sign`; importing it registers it with tfds."""

from data_pipeline.building import show_poses
from data_pipeline.prompt2sign.prompt2sign_dataset_builder import (
  Builder,
  Config,
)

__all__ = ["Builder", "Config"]

show_poses.register()
