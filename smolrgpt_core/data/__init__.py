"""Data sets: their files, what is in them, and how they are made."""

from smolrgpt_core.data.balance import Balancer

__all__ = ["Balancer"]
