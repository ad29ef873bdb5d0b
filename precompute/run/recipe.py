"""What a regime's recipe is: one subclass of :class:`Recipe`, in one file of ``precompute/regimes``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from explorer.errors import UserError
from explorer.model.encoder import Clip, Encoder, ImageTower
from explorer.model.head import Head
from explorer.store.folder import RunFolder
from explorer.store.manifest import FROZEN, RegimeKind, RegimeRecord
from precompute.reporter import ReportProgress
from precompute.settings import Settings
from precompute.training import paper
from precompute.training.data import TrainingData
from precompute.training.loop import TrainingCurve, best_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from precompute.run.run import Run


class Fitted(NamedTuple):
    """What a recipe makes.

    Attributes
    ----------
    head : Head or None
        None of a regime whose logits alone are known.
    training : dict
        What training.json records.
    tower : ImageTower or None
        Its own encoder; None where it reads the frozen one.
    files : tuple of str
        Further files that it wrote into the run, by relative path.
    """

    head: Head | None
    training: dict[str, Any]
    tower: ImageTower | None = None
    files: tuple[str, ...] = ()


class Recipe(ABC):
    """How one regime is made.

    Attributes
    ----------
    name : str
        Names folders and stands in links; never changed.
    title, kind :
        As :class:`RegimeRecord` has them.
    summary : str
        One line for ``python -m precompute regimes``.
    stage : str
        Its stage, as progress and the store name it.
    version : int
        Raised when its code gives another result: then runs make it anew.
    share : float
        Of a job's time, beside the numbers of ``reporter.RUN``.
    needs : tuple of str
        Regimes that the same run must have before it; its head starts from the first.
    reads_text : bool
        Whether it needs the encoder's text tower.
    takes_logits : bool
        Whether its logits were made elsewhere and come with an import.
    own_encoder : str
        What its own encoder is called, as "fine-tuned"; empty where it reads the frozen one.
    in_paper : bool
        Whether the paper's protocol has it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[RegimeKind]
    summary: ClassVar[str]
    stage: ClassVar[str]
    version: ClassVar[int] = 1
    share: ClassVar[float] = 1
    needs: ClassVar[tuple[str, ...]] = ()
    reads_text: ClassVar[bool] = False
    takes_logits: ClassVar[bool] = False
    own_encoder: ClassVar[str] = ""
    in_paper: ClassVar[bool] = False

    @abstractmethod
    def inputs(self, run: Run) -> dict[str, object]:
        """All that decides the result: settings and the hashes of files read."""

    @abstractmethod
    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        """Make the regime; checkpoints go into ``work``."""

    @abstractmethod
    def words(self, run: Run) -> str:
        """How it was fitted, for the Protocols page."""

    def check(self, encoder: Encoder) -> None:
        """Refuse, before the run, an encoder that the regime cannot be made with."""
        if self.reads_text and not isinstance(encoder, Clip):
            raise UserError(
                f"--regimes: {self.name} reads text, and the encoder {encoder.title} has no text tower.",
                "Leave it out, or use a CLIP model (docs/encoders.md).",
            )

    def logits(self, run: Run) -> NDArray[np.float32]:
        """(N, C) of every film, once the regime is made."""
        return Head(*run.head(self.name)).logits(run.inputs(run.regime(self.name)))

    def depends_on_seed(self, settings: Settings) -> bool:
        """Whether another seed would give another result."""
        return False

    def starts_from_parent(self, settings: Settings) -> bool:
        """Whether its head starts from that of the first regime it needs."""
        return True

    @property
    def encoder(self) -> str:
        """The id of its encoder."""
        return self.name if self.own_encoder else FROZEN

    @property
    def embed_stage(self) -> str:
        """The stage that embeds every film by its own encoder."""
        return f"embed {self.name.replace('_', '-')}"

    def record(self, settings: Settings) -> RegimeRecord:
        """What a run's manifest says of it, but for the words."""
        seeds = tuple(range(settings.seed + 1, settings.seed + settings.seeds))
        fitted = self.kind != "zero-shot"
        return RegimeRecord(
            name=self.name,
            title=self.title,
            kind=self.kind,
            parent=self.needs[0] if self.needs and self.starts_from_parent(settings) else None,
            fitted_on=("train",) if fitted else (),
            encoder=self.encoder,
            embedding_space=self.encoder,
            decision_space=f"{self.name}-decision",
            unit=settings.protocol == "sound" or not fitted,
            seeds=seeds if self.depends_on_seed(settings) else (),
        )


class HeadRecipe(Recipe):
    """A recipe that fits a head on stored embeddings, in seconds: so it can also be fitted to a few films."""

    @abstractmethod
    def fit_head(
        self, folder: RunFolder, data: TrainingData, settings: Settings, report: Callable[[int, int], None]
    ) -> tuple[Head, dict[str, Any]]:
        """The head, and what training.json records.

        Parameters
        ----------
        folder : RunFolder
            A run under way, or a finished one.
        data : TrainingData
            Its inputs are the (N, D) unit-norm embeddings of the frozen encoder.
        """

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        return Fitted(*self.fit_head(run, training_data(run, run.embeddings(FROZEN)), run.settings, report))


def training_data(folder: RunFolder, inputs: NDArray[Any]) -> TrainingData:
    """The run's films with these inputs, its own train and val."""
    return TrainingData(inputs, folder.targets, folder.rows("train"), folder.rows("val"))


def training_settings(settings: Settings) -> dict[str, object]:
    """What decides a training: settings that only measure, or number the seeds, are left out."""
    measuring = {"seeds", "fractions", "batch_size", "neighbours", "resamples", "permutations", "thumbnail"}
    return settings.model_dump(mode="json", exclude={*measuring, "macro_patients", "age_cuts", "precision"})


def epochs_record(run: Run, curve: TrainingCurve) -> dict[str, Any]:
    """What training.json records of a training by epochs."""
    best = best_epoch(curve, paper.GAIN if run.paper else 0.0)
    return {"settings": training_settings(run.settings), "curve": curve, "best_epoch": best}


def stopping_words(settings: Settings) -> str:
    """When a training by epochs ends."""
    return (
        f"batches of {settings.train_batch_size}, at most {settings.epochs} epochs, "
        f"patience {settings.patience} on val loss"
    )
