"""The one place that imports the packages of the extra `data`, and says what is missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from smolrgpt_core.extras import install_command


def import_datasets() -> ModuleType:
    """The package `datasets` of Hugging Face.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return _imported("datasets")


def import_parquet() -> ModuleType:
    """Parquet in the package `pyarrow`, which comes with `datasets`.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return _imported("pyarrow.parquet")


def import_fsspec() -> ModuleType:
    """The package `fsspec`, which opens files on servers; it comes with `datasets`.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return _imported("fsspec")


def _imported(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name not in (package, package.partition(".")[0]):
            raise
        raise ImportError(
            f"this data set needs the package `{package}`, which is not installed; install it "
            f"with: {install_command('data')}"
        ) from error
