"""The one place that imports matplotlib, and says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smolrgpt_core.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg


def new_canvas() -> tuple[FigureCanvasAgg, Axes]:
    """A canvas that needs no display, with one plot.

    Raises:
        ImportError: matplotlib is not installed; the message says how to install it.
    """
    require("matplotlib", "data", "plots need matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110)
    return FigureCanvasAgg(figure), figure.add_subplot()
