"""The data set `fingerspelling`; importing it registers it with tfds."""

from data_pipeline.fingerspelling.fingerspelling_dataset_builder import Builder

__all__ = ["Builder"]
