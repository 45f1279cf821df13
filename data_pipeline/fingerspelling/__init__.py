"""The data set `fingerspelling/<code>`; importing it registers it."""

from data_pipeline.fingerspelling.fingerspelling_dataset_builder import Builder

__all__ = ["Builder"]
