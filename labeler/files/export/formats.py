"""The formats: what each is for, its rows, and what else belongs into a folder of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labeler.files.export import annotators, ours, trainers
from labeler.files.export.labels import Labelled, labelled

if TYPE_CHECKING:
    from labeler.domain.states import Source
    from labeler.store import Store
    from labeler.store.views.exported import VoteRow

FILLED, IMPORTED = "filled", "imported"
PARQUET = "data/train-00000-of-00001.parquet"
Row = dict[str, Any]


def as_they_come(votes: Iterable[VoteRow]) -> Iterable[VoteRow]:
    """Watch nothing."""
    return votes


@dataclass(frozen=True)
class Wanted:
    """Whose labels are written. `watch` sees votes pass by; `left_out` counts pairs by reason."""

    store: Store
    source: Source | None = None
    watch: Callable[[Iterable[VoteRow]], Iterable[VoteRow]] = as_they_come
    left_out: Counter[str] = field(default_factory=Counter)

    def votes(self) -> Iterable[VoteRow]:
        """Every vote, oldest first."""
        return self.watch(self.store.exports.votes(source=self.source))

    def pairs(self) -> Iterator[Labelled]:
        """The pairs to learn from, with their votes."""
        return labelled(self.watch(self.store.exports.votes(source=self.source, by_pair=True)))

    def is_plain(self) -> bool:
        """Whether texts can say all of it."""
        texts = self.store.exports.texts(source=self.source)
        return all(trainers.is_plain(*each) for each in texts)


@dataclass(frozen=True)
class Format:
    """How labels become rows, and what a user is told of it.

    `in_messages` are the rows where texts would not do. A folder has the rows in `file` and others
    `beside` it, by name; `use` says what to do with it. `is_table`: it can be Parquet.
    """

    title: str
    about: str
    rows: Callable[[Wanted], Iterator[Row]]
    in_messages: Callable[[Wanted], Iterator[Row]] | None = None
    file: str = PARQUET
    beside: Mapping[str, str] = field(default_factory=dict)
    use: str = "`datasets.load_dataset` reads it."
    ending: str = ".jsonl"

    @property
    def is_table(self) -> bool:
        """Whether it is for programs that read tables."""
        return self.file == PARQUET


# The one list: the command line and the dashboard offer what stands here.
FORMATS = {
    "preference": Format(
        "Preference",
        "prompt, chosen and rejected as texts, which TRL reads as they are; as message lists "
        "where a prompt is a conversation",
        rows=lambda wanted: trainers.as_texts(wanted.pairs()),
        in_messages=lambda wanted: trainers.as_messages(wanted.pairs()),
        use="TRL's `DPOTrainer` takes it as `train_dataset`.",
    ),
    "conversational": Format(
        "Conversational",
        "the same as message lists, always",
        rows=lambda wanted: trainers.as_messages(wanted.pairs()),
        use="TRL's `DPOTrainer` takes it as `train_dataset`.",
    ),
    "unpaired": Format(
        "Unpaired",
        "prompt, completion and label, for TRL's KTO trainer",
        rows=lambda wanted: trainers.unpaired_as_texts(wanted.pairs()),
        in_messages=lambda wanted: trainers.unpaired_as_messages(wanted.pairs()),
        use="TRL's `KTOTrainer` takes it as `train_dataset`.",
    ),
    "raw": Format(
        "Raw",
        "every vote with its provenance, undone ones too",
        rows=lambda wanted: ours.raw_rows(wanted.votes()),
    ),
    "llama-factory": Format(
        "LLaMA-Factory",
        "ranking data of LLaMA-Factory in the layout of ShareGPT",
        rows=lambda wanted: trainers.llama_factory_rows(wanted.pairs(), wanted.left_out),
        file="livedpo.jsonl",
        beside={"dataset_info.json": json.dumps(trainers.DATASET_INFO, indent=2) + "\n"},
        use="Give LLaMA-Factory this folder as `dataset_dir`, and `dataset: livedpo`.",
    ),
    "openai": Format(
        "OpenAI",
        "input, preferred_output and non_preferred_output, for preference fine-tuning at OpenAI "
        "and Fireworks",
        rows=lambda wanted: trainers.openai_rows(wanted.pairs(), wanted.left_out),
        file="train.jsonl",
        use="Upload `train.jsonl` as a fine-tuning file.",
    ),
    "argilla": Format(
        "Argilla",
        "records of Argilla, with votes as suggestions",
        rows=lambda wanted: annotators.argilla_rows(wanted.pairs()),
        file="records.json",
        beside={
            ".argilla/settings.json": json.dumps(annotators.argilla_settings(), indent=2) + "\n",
            ".argilla/dataset.json": json.dumps(annotators.argilla_dataset()) + "\n",
        },
        use="`rg.Dataset.from_disk` of Argilla makes the data set of it.",
        ending=".json",
    ),
    "label-studio": Format(
        "Label Studio",
        "tasks of Label Studio, with votes as predictions",
        rows=lambda wanted: annotators.label_studio_rows(wanted.pairs()),
        file="tasks.json",
        beside={"labeling.xml": annotators.LABELING},
        use="Make a project with the labeling interface `labeling.xml`, and import `tasks.json`.",
        ending=".json",
    ),
}
# Not on the dashboard: nobody's labels.
EVERY_FORMAT = FORMATS | {
    FILLED: Format(
        "Filled in",
        "pairs that nobody rated, which a reward model labelled for updates",
        rows=lambda wanted: ours.filled_rows(wanted.store.exports.filled()),
    ),
    IMPORTED: Format(
        "Imported",
        "pairs of files that teach the learned judge",
        rows=lambda wanted: ours.imported_rows(wanted.store.imported.all()),
    ),
}
