"""``publish``: a copy of one run to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.errors import UserError
from precompute.commands.console import MESSAGES
from precompute.commands.options import RunArgument
from precompute.reporter import Reporter


def publish(
    store: RunArgument,
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A new folder, or a new file that ends in .zip.")],
    run: Annotated[str | None, typer.Option("--run", help="Which run; the latest by default.")] = None,
    no_pixels: Annotated[
        bool, typer.Option("--no-pixels", help="Leave out films, thumbnails and reports; figures and maps stay.")
    ] = False,
    no_reports: Annotated[bool, typer.Option("--no-reports", help="Leave out reports and words of them.")] = False,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Leave out the image towers, which Grad-CAM and uploads need.")
    ] = False,
    with_marks: Annotated[bool, typer.Option("--with-marks", help="Add marks and reviews made in this store.")] = False,
    i_may_share: Annotated[
        bool, typer.Option("--i-may-share", help="I have read the licences, and they let me pass this on.")
    ] = False,
) -> None:
    """Copy one run, with its saliency maps, a card and checksums, into a store that can be passed on."""
    from explorer.store import open_store
    from explorer.store.manifest import Part
    from precompute.publish.copy import PUBLISH, publish_run

    if "://" in destination:
        raise typer.BadParameter(
            f"{destination} is not supported yet. Publish into a folder or a .zip file, and upload that.",
            param_hint="DEST",
        )
    opened = open_store(store, run)
    manifest = opened.manifest
    if not i_may_share:
        towers = {} if no_weights else {record.title: record.licence for record in manifest.encoders}
        licences = {manifest.dataset.name: manifest.dataset.licence, **towers}
        named = "; ".join(f"{name}: {licence or 'not recorded'}" for name, licence in licences.items())
        headers = "" if no_pixels else " Films are copied with their headers, which may name patients."
        raise UserError(
            f"Nothing is published: you have not said that you may share it. Licences: {named}.{headers}",
            "Read them. Leave out what they do not let you pass on (--no-pixels, --no-reports, --no-weights), and add "
            "--i-may-share.",
        )
    wanted: dict[Part, bool] = {"pixels": no_pixels, "reports": no_pixels or no_reports, "weights": no_weights}
    left_out = tuple(part for part, absent in wanted.items() if absent)
    reporter = Reporter(MESSAGES, PUBLISH)
    with reporter.job():
        n_files, n_bytes = publish_run(opened, Path(destination), left_out, with_marks, reporter)
    MESSAGES.print(f"{destination}: {n_files:,} files, {n_bytes / 1e6:,.1f} MB.", soft_wrap=True)
