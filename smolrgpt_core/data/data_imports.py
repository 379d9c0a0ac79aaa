"""The one place that imports the packages of the extra `data`, and says what is missing."""

from __future__ import annotations

from types import ModuleType

from smolrgpt_core.extras import require


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
    return require(package, "data", f"this data set needs the package `{package}`")
