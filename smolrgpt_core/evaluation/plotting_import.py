"""The one place that imports matplotlib, and says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smolrgpt_core.extras import install_command

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg


def new_canvas() -> tuple[FigureCanvasAgg, Axes]:
    """A canvas that needs no display, with one plot.

    Raises:
        ImportError: matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError(
            "plots need matplotlib, which is not installed; install it with: "
            f"{install_command('data')}"
        ) from error
    figure = Figure(figsize=(6.4, 4.4), dpi=110)
    return FigureCanvasAgg(figure), figure.add_subplot()
