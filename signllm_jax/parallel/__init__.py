"""Devices and processes: sharding and its set-up."""
