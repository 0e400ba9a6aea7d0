"""The records as a page of Markdown."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import exactness
from .models import APPLICATIONS, ARCHITECTURES

Record = Mapping[str, Any]
_HEAD = """# Architectures

What the exporter makes of {count} models: {own} architectures of our own (`tests/exporter/architectures`) and
{applications} of `keras.applications`. All have random weights and statistics, and biases
that are not zero. This page is generated:

    python benchmarks/nodes.py --records DIR && python benchmarks/nodes.py --records DIR --table docs/architectures.md

With {versions}.

- **BatchNormalization**: what became of each call; those with *affine* in their name leave something behind, and the
  [reasons](#what-stays-and-why) are below.
- **error**: the largest deviation from the float64 reference as a share of what is allowed
  ([limit](exporting.md#what-is-verified)), of the SavedModel, of the ONNX file as it is, and of the ONNX file
  optimised, each read from its files by the engine that serves it.
- **fold**: reading and folding, in seconds, on one core of a shared machine.
- **nodes**: additions, subtractions, products, quotients and roots of floating-point tensors. Of a SavedModel, those
  of its serving function with every function it calls written out in its place; *bias* are additions
  of a constant to what a convolution or a matrix product answers, which a SavedModel has no other way to write. Of an
  ONNX file, every node, those of loops and branches too. *Keras* is `model.export` of Keras; *of two tensors* are
  those of our ONNX nodes whose operands are both computed from the input: residual sums and gates, which the model
  itself asks for.

In all models that Keras can export as ONNX, its files together hold {theirs}; ours {ours}, {between} of them of two
tensors.
"""
_COLUMNS = (
    "model", "BatchNormalization", "error", "fold",
    "Keras, SavedModel", "Keras, ONNX", "SavedModel", "ONNX", "of two tensors",
)  # fmt: skip
_CANDIDATES = (exactness.SAVED_MODEL, exactness.ONNX, exactness.OPTIMISED)


def read(folder: Path, forced: Mapping[str, str]) -> list[Record]:
    """The records that there are, in the order of the names, each with the words for what the model itself forces."""
    paths = {name: folder / f"{name}.json" for name in forced}
    records = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}
    return [{**record, "forced": forced[name]} for name, record in records.items()]


def page(records: list[Record]) -> str:
    """The whole page."""
    by_theme = {
        ARCHITECTURES: [item for item in records if item["theme"] != APPLICATIONS],
        APPLICATIONS: [item for item in records if item["theme"] == APPLICATIONS],
    }
    versions = ", ".join(f"{name} {number}" for name, number in records[0]["versions"].items())
    both = [item for item in records if "fails" not in item["keras"]["onnx"]]
    head = _HEAD.format(
        count=len(records),
        own=len(by_theme[ARCHITECTURES]),
        applications=len(by_theme[APPLICATIONS]),
        versions=versions,
        theirs=_counts(_sum(item["keras"]["onnx"] for item in both)),
        ours=_counts(_sum(item["foldserve"]["onnx"] for item in both)),
        between=sum(sum(item["between_tensors"].values()) for item in both),
    )
    parts = [head]
    for theme, members in by_theme.items():
        parts += [f"## {theme}\n", _table(members)]
    return "\n".join([*parts, "## What stays, and why\n", _reasons(records)])


def _table(records: list[Record]) -> str:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    lines += [f"| {' | '.join(_row(item))} |" for item in records]
    return "\n".join(lines) + "\n"


def _row(record: Record) -> tuple[str, ...]:
    actions: Counter[str] = Counter(record["actions"])
    keras, ours = record["keras"], record["foldserve"]
    return (
        record["name"],
        ", ".join(f"{count} {action.replace('_', ' ')}" for action, count in actions.items()) or "none",
        " / ".join(f"{record['of_the_limit'][name]:.2f}" for name in _CANDIDATES),
        f"{record['fold_seconds']:.1f}",
        _counts(keras["saved_model"]),
        _counts(keras["onnx"]),
        _counts(ours["saved_model"]),
        _counts(ours["onnx"]),
        _counts(record["between_tensors"]),
    )


def _counts(counts: Mapping[str, Any]) -> str:
    if "fails" in counts:
        return f"fails: {_in_a_word(counts['fails'])}"
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "none"


def _in_a_word(failure: str) -> str:
    """Subject of a failure, for the failures that are listed; else its first words."""
    expected = {
        "Erfc": "no Erfc in ONNX",
        "not exist": "an output is called as an input",
        "Xla": "XLA",
        "StatefulPartitionedCall": "XLA",
        "StatelessRandom": "random operations",
        "RandomUniform": "random operations",
        "NCHW": "channels first on a CPU",
        "NHWC": "channels first on a CPU",
    }
    short = failure.replace("|", "/").replace("\n", " ")
    return next((words for sign, words in expected.items() if sign in failure), short[:60])


def _sum(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for item in counts:
        total.update(item)
    return total


def _reasons(records: list[Record]) -> str:
    """One line for each reason that a model gives; where a model says the same of many layers, how often."""
    lines = []
    for record in records:
        shown = record["reasons"][:3]
        lines += [f"- {record['name']}: {record['forced']}"] if record["forced"] else []
        lines += [f"- {record['name']}, {reason}" for reason in shown]
        if len(record["reasons"]) > len(shown):
            lines.append(f"- {record['name']}: {len(record['reasons']) - len(shown)} more like these")
    return "\n".join(lines) + "\n"
