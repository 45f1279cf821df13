"""Devices and processes: mesh, shardings, start-up, compilation cache."""
