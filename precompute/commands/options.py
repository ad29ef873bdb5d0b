"""Options that several commands share, and options made from the fields of pydantic models."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic.fields import FieldInfo

from precompute.settings import Protocol, Settings
from precompute.sources import CATALOGUE
from precompute.sources.csv import TableOptions
from precompute.sources.options import flag
from precompute.sources.patients import PatientIds

StoreFolder = Annotated[Path, typer.Option("--out", help="The store's folder.")]
RunArgument = Annotated[Path, typer.Argument(help="The store's folder, or one run's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Seed = Annotated[int, typer.Option("--seed", help="Makes the run repeat exactly.")]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Train with this many seeds, to show how far the figures depend on them.")
]
ProtocolName = Annotated[
    Protocol, typer.Option("--protocol", help="How to split and train: soundly, or as the paper did (fixed settings).")
]
Patients = Annotated[
    PatientIds | None,
    typer.Option(
        "--patients",
        help="Ids that differ only in how they are written (001 and 1, P1 and p1): exact keeps them apart, "
        "normalised joins them. By default they are kept apart with a warning, and refused across given splits.",
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without images that cannot be read.")]
AllowBurnedIn = Annotated[
    bool, typer.Option("--allow-burned-in", help="Take DICOM films that say text is burned into them.")
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Keep labels that have no positive in some split.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only print which stages would run, why, how long, and the disk needed.")
]
Corrections = Annotated[
    Path | None,
    typer.Option("--corrections", help="A review's CSV, exported from the audit page: sample_id, label, verdict."),
]

DEFAULT_REGIMES = "zero_shot,linear_probe,fine_tune"
"""The paper's three."""
Regimes = Annotated[
    str | None,
    typer.Option(
        "--regimes",
        help=f"Which to make, with commas between; see regimes. By default {DEFAULT_REGIMES}, of which those that "
        "read text are left out for an encoder without a text tower.",
    ),
]

PHANTOM_FILMS = 1500
"""How many films phantom and demo draw by default."""

Given = dict[str, object]
"""Options that the command line gave, by name."""

Command = Callable[..., None]


def options_from_models(**groups: Mapping[str, inspect.Parameter]) -> Callable[[Command], Command]:
    """A decorator for a command: the parameter named as a group becomes the options of that group.

    The command is called with a ``Given`` of those options that the command line gave. Typer reads a command's options
    from its signature, so the decorated command gets one with the options in it.
    """

    def decorate(command: Command) -> Command:
        parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for parameter in inspect.Signature.from_callable(command, eval_str=True).parameters.values():
            own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
            parameters += groups[parameter.name].values() if parameter.name in groups else own

        @functools.wraps(command)
        def with_groups(ctx: typer.Context, **values: object) -> None:
            for group, options in groups.items():
                read = {name: values.pop(name) for name in options}
                values[group] = {name: value for name, value in read.items() if _given(ctx, name)}
            command(**values)

        with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_groups

    return decorate


def _given(ctx: typer.Context, option: str) -> bool:
    source = ctx.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def source_options() -> dict[str, inspect.Parameter]:
    """The options of all sources; the help says which source takes which."""
    fields: dict[str, FieldInfo] = {}
    takers: dict[str, dict[str, list[str]]] = {}  # option to description to sources
    for source, entry in CATALOGUE.items():
        for name, field in entry.options.model_fields.items():
            fields.setdefault(name, field)
            takers.setdefault(name, {}).setdefault(str(field.description), []).append(source)
    options = {}
    for name, field in fields.items():
        uses = [f"{', '.join(sources)}: {description}" for description, sources in takers[name].items()]
        options[name] = _option(name, field.annotation, None, " ".join(uses))
    return options


def table_options() -> dict[str, inspect.Parameter]:
    """The options of a table of labels, whose films may be elsewhere."""
    fields = TableOptions.model_fields
    return {name: _option(name, field.annotation, None, str(field.description)) for name, field in fields.items()}


def settings_options(*names: str) -> dict[str, inspect.Parameter]:
    """Some of the run's settings as options, with the same defaults and limits."""
    options = {}
    for name in names:
        field = Settings.model_fields[name]
        rules = {"min": "ge", "max": "le"}
        limits = {
            limit: getattr(rule, bound)
            for rule in field.metadata
            for limit, bound in rules.items()
            if hasattr(rule, bound)
        }
        options[name] = _option(name, field.annotation, field.default, str(field.description), **limits)
    return options


def _option(name: str, kind: object, default: object, description: str, **limits: float) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(flag(name), help=description, **limits)],  # type: ignore[arg-type]
    )
