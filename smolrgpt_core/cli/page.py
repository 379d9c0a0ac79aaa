"""`smolrgpt page`: a local web page to try questions and to see how they are answered."""

from __future__ import annotations

import socket
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smolrgpt_core.answerer_settings import FusionSettings
from smolrgpt_core.cli import options
from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.option_groups import PerceptionOptions, grouped
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.extras import require
from smolrgpt_core.frame_files import FrameFiles, FrameModels, check_sources, read_frame
from smolrgpt_core.page.access import is_loopback, new_token
from smolrgpt_core.page.frames import SHOWN_ERRORS

if TYPE_CHECKING:
    from smolrgpt_core.frame import RGBDFrame
    from smolrgpt_core.page.frames import ShownFrames
    from smolrgpt_core.page.library import Library

NOT_SERVED = 1
"""Exit status when the page cannot be served."""

LOOPBACK = "127.0.0.1"

Seed = Annotated[
    int,
    typer.Option(
        help="Random seed of the simulated hall that is shown when no files are given.", min=0
    ),
]
Rgb = Annotated[
    Path | None,
    typer.Option(
        help="Color image to ask about instead of the simulated hall.", exists=True, dir_okay=False
    ),
]
Recording = Annotated[
    Path | None,
    typer.Option(
        help="ROS 2 recording to ask about instead: a folder, or a .db3 or .mcap file.", exists=True
    ),
]
Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. Unless it is loopback, visitors need the printed token; "
        "nothing is encrypted."
    ),
]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
CorrectionsFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a data set that corrected answers are added to; without it, answers "
        "cannot be corrected.",
        file_okay=False,
    ),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root",
        help="Folder whose recordings may be opened from the page; may be repeated.",
        exists=True,
        file_okay=False,
    ),
]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")]


@grouped
def page(
    *,
    seed: Seed = 0,
    rgb: Rgb = None,
    depth: options.DepthFile = None,
    intrinsics: options.Intrinsics = None,
    regions: options.RegionsFile = None,
    finders: PerceptionOptions,
    recording: Recording = None,
    answerer: options.AnswererName = "",
    checkpoint: options.Checkpoint = "",
    object_sizes: options.ObjectSizes = "",
    host: Host = LOOPBACK,
    port: Port = 8080,
    corrections: CorrectionsFolder = None,
    root: Roots = None,
    is_opened: Open = True,
) -> None:
    """Ask in a browser: select regions in the image, see what was measured and why.

    The exit status is 0 when it is stopped, 1 when it cannot be served, 2 for an invalid command
    line.
    """
    _require_nicegui()
    _check_free(host, port)
    chosen = options.chosen_answerer(
        answerer, checkpoint, FusionSettings(), object_sizes=object_sizes
    )
    # NiceGUI takes a second to import.
    from smolrgpt_core.page.app import Address, serve
    from smolrgpt_core.page.conversation import AnswerDesk
    from smolrgpt_core.page.corrections import Corrections
    from smolrgpt_core.page.library import Library
    from smolrgpt_core.page.visit import Shared

    models = finders.models()
    with options.wrong_call():
        models.finder_settings()
    library = Library(root or [], models)
    files = FrameFiles(rgb, depth, regions, options.pinhole(intrinsics)) if rgb else None
    shared = Shared(
        start=_start(library, seed, files, models, recording),
        desk=AnswerDesk(chosen),
        library=library,
        corrections=Corrections(corrections) if corrections else None,
    )
    address = Address(host, port, "" if is_loopback(host) else new_token())
    with closing(library):
        serve(shared, address, is_opened, lambda: _announce(address.url, host))


def _require_nicegui() -> None:
    with exit_on(NOT_SERVED, ImportError):
        require("nicegui", "page", "the page needs NiceGUI")


def _check_free(host: str, port: int) -> None:
    """Tell at once that a port is taken, before a model is loaded."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        typer.echo(
            f"the page cannot be served at {host}:{port}: {error.strerror}; choose another --port",
            err=True,
        )
        raise typer.Exit(NOT_SERVED) from error


def _start(
    library: Library,
    seed: int,
    files: FrameFiles | None,
    models: FrameModels,
    recording: Path | None,
) -> ShownFrames:
    """The frames that are shown first.

    Raises:
        typer.BadParameter: more than one source is given.
        typer.Exit: it cannot be used.
    """
    from smolrgpt_core.page.frames import CachedFrames, OneFrame, RecordedFrames

    if files is not None and recording is not None:
        raise typer.BadParameter("frames come from --rgb or from --recording, not from both")
    with exit_on(WRONG_CALL, SpatialError, ImportError):
        if recording is not None:
            return CachedFrames(RecordedFrames(recording))
        if files is None:
            return library.hall(seed)
        check_sources(files, models)
        if files.depth is not None and files.regions is not None:
            return OneFrame(files.rgb.name, read_frame(files))
        photograph = library.started_with(files)
        photograph.future.add_done_callback(_report_failure)
        return photograph


def _report_failure(made: Future[RGBDFrame]) -> None:
    """Tell in the terminal, too, why there is no frame."""
    error = None if made.cancelled() else made.exception()
    if isinstance(error, SHOWN_ERRORS):
        typer.echo(str(error), err=True)


def _announce(url: str, host: str) -> None:
    typer.echo(f"Page: {url}\nStop it with Ctrl+C.")
    if not is_loopback(host):
        typer.echo(
            f"warning: {host} is reachable from other machines. Anyone with the token in the URL "
            f"can see the frames, ask questions and open the recordings under --root; the "
            f"connection is not encrypted. See docs/security.md.",
            err=True,
        )
