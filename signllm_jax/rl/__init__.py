"""Reinforcement learning: reward, policy, and which examples are drawn."""
