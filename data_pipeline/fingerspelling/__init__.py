"""The data set `fingerspelling`; importing it registers it with tfds."""

from data_pipeline.building import show_poses
from data_pipeline.fingerspelling.fingerspelling_dataset_builder import Builder

__all__ = ["Builder"]

show_poses.register()
