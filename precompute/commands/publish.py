"""``publish``: a copy of one run to pass on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from explorer.environment import is_remote
from explorer.errors import UserError
from precompute.commands.console import MESSAGES
from precompute.commands.options import RunArgument
from precompute.reporter import Reporter

MayShare = Annotated[
    bool, typer.Option("--i-may-share", help="I have read the licences, and they let me pass this on.")
]


def ask_to_share(licences: Mapping[str, str], fix: str, more: str = "") -> NoReturn:
    """Name the licences of what would be passed on, and stop.

    Parameters
    ----------
    licences : what it is of to its licence; empty where the store has none recorded
    fix : what to do once they are read
    more : what else there is to know
    """
    named = "; ".join(f"{name}: {licence or 'not recorded'}" for name, licence in licences.items())
    raise UserError(
        f"Nothing is written: you have not said that you may share it. Licences: {named}.{more}", f"Read them. {fix}"
    )


def publish(
    store: RunArgument,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DEST", help="A new folder or a new file that ends in .zip, here or at s3:// or hf://datasets/."
        ),
    ],
    run: Annotated[str | None, typer.Option("--run", help="Which run; the latest by default.")] = None,
    no_pixels: Annotated[
        bool, typer.Option("--no-pixels", help="Leave out films, thumbnails and reports; figures and maps stay.")
    ] = False,
    no_reports: Annotated[bool, typer.Option("--no-reports", help="Leave out reports and words of them.")] = False,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Leave out the image towers, which Grad-CAM and uploads need.")
    ] = False,
    with_marks: Annotated[bool, typer.Option("--with-marks", help="Add marks and reviews made in this store.")] = False,
    i_may_share: MayShare = False,
) -> None:
    """Copy one run, with its saliency maps, a card and checksums, into a store that can be passed on."""
    from explorer.store import open_store
    from explorer.store.manifest import Part
    from explorer.store.remote import Source, is_zip
    from precompute.publish.copy import PUBLISH, publish_run
    from precompute.publish.upload import UPLOAD, refuse_taken, upload

    opened = open_store(store, run)
    manifest = opened.manifest
    if not i_may_share:
        towers = {} if no_weights else {record.title: record.licence for record in manifest.encoders}
        headers = "" if no_pixels else " Films are copied with their headers, which may name patients."
        ask_to_share(
            {manifest.dataset.name: manifest.dataset.licence, **towers},
            "Leave out what they do not let you pass on (--no-pixels, --no-reports, --no-weights), and add "
            "--i-may-share.",
            headers,
        )
    wanted: dict[Part, bool] = {"pixels": no_pixels, "reports": no_pixels or no_reports, "weights": no_weights}
    left_out = tuple(part for part, absent in wanted.items() if absent)
    if not is_remote(destination):
        reporter = Reporter(MESSAGES, PUBLISH)
        with reporter.job():
            n_files, n_bytes = publish_run(opened, Path(destination), left_out, with_marks, reporter)
    else:
        elsewhere = Source(destination)
        refuse_taken(elsewhere)
        reporter = Reporter(MESSAGES, {**PUBLISH, **UPLOAD})
        with reporter.job(), tempfile.TemporaryDirectory(prefix="publish-") as folder:
            copy = Path(folder) / ("store.zip" if is_zip(destination) else "store")
            n_files, n_bytes = publish_run(opened, copy, left_out, with_marks, reporter)
            upload(copy, elsewhere, reporter)
    MESSAGES.print(f"{destination}: {n_files:,} files, {n_bytes / 1e6:,.1f} MB.", soft_wrap=True)
