"""Converts core types to messages and back: no node, no state."""
