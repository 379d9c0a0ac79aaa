"""Lets tools that look for setup.py install the offline part; everything is in pyproject.toml."""

from setuptools import setup

setup()
