"""Bench for spoiled artifacts: the sound export, and the checks that a spoiled artifact goes through."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from foldserve_contract.bundle import GOLDEN, MANIFEST, ONNX, SAVED_MODEL
from foldserve_contract.digest import seal_file
from foldserve_contract.errors import FoldserveError
from foldserve_contract.manifest import Manifest, Source
from foldserve_contract.tolerance import deviation, within
from foldserve_engine.link.handshake import EngineHello
from foldserve_engine.load import load_engine
from foldserve_engine.protocol import Engine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_engine.worker.startup import start
from foldserve_engine.worker.startup_stages import StageTimer
from foldserve_exporter import export_model
from foldserve_exporter.bundle_files import KERAS_FILE
from foldserve_exporter.load.loader import Loaded
from foldserve_exporter.options import ExportOptions
from foldserve_exporter.steps.fold import FoldedModel, fold_model
from foldserve_exporter.steps.reference import ReferenceSet, make_reference
from foldserve_exporter.verify.evaluation import evaluate
from foldserve_exporter.verify.job import Candidate, CandidateKind, VerificationJob
from foldserve_exporter.verify.runners import CandidateFunction, open_candidate
from foldserve_exporter.verify.verifier import Verifier, candidates_of
from foldserve_exporter.verify.worker_pool import VerificationWorker

from ..models import randomise

UNSEEN = 256
NO_GATE = "nobody serves it"
SEED = 21
ENGINES = {CandidateKind.ONNX: EngineKind.ONNXRUNTIME, CandidateKind.SAVED_MODEL: EngineKind.TENSORFLOW}
BUNDLED = (SAVED_MODEL, "fingerprint.pb", "variables", ONNX, GOLDEN)


def network(seed: int, epsilon: float = 1e-3) -> keras.Model:
    layers = keras.layers

    def normalised(x: Any) -> Any:
        return layers.BatchNormalization(epsilon=epsilon)(x)

    image = keras.Input((11, 9, 3), name="image")
    x = shortcut = layers.ReLU()(normalised(layers.Conv2D(8, 3, padding="same")(image)))
    x = layers.ReLU()(normalised(layers.DepthwiseConv2D((3, 2), padding="same")(x)))
    x = layers.Add()([normalised(layers.Conv2D(8, 1)(x)), shortcut])
    x = normalised(layers.SeparableConv2D(6, 3, strides=2)(layers.ReLU()(x)))
    x = layers.ReLU()(normalised(layers.Dense(10)(layers.GlobalAveragePooling2D()(x))))
    return randomise(keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x)), seed)


def images(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 11, 9, 3)).astype(np.float32)


@dataclass(frozen=True)
class Spoiled:
    """An artifact in place of the sound one: a file, or the version directory that holds it."""

    name: str
    kind: CandidateKind
    path: Path


@dataclass(frozen=True)
class Shown:
    """The result for a spoiled artifact.

    Attributes:
        away: The deviation of its answers to unseen inputs from the right ones; infinity where it gives none.
        failures: The reasons for which the verifier refuses it; empty where it does not.
        gate: The error by which a server refuses it in a bundle with a new manifest; None where it serves it.
    """

    name: str
    away: float
    failures: tuple[str, ...]
    gate: str | None

    def __str__(self) -> str:
        return f"{self.name} ({self.away:.3g} away; verifier: {bool(self.failures)}, gate: {self.gate})"


@dataclass(frozen=True)
class Bench:
    """The sound model, its bundle, and the right answers to inputs that were not used before."""

    folded: FoldedModel
    expected: ReferenceSet
    bundle: Path
    unseen: np.ndarray
    truth: np.ndarray

    @classmethod
    def make(cls, models: Path) -> "Bench":
        given = images(64, 1)
        exported = export_model(network(SEED), models, "network", samples=given, keep_keras=True)
        folded = fold_model(Loaded(network(SEED), Source("network", "")))
        expected = make_reference(folded, ExportOptions(models, "network", samples=given))
        unseen = images(UNSEEN, 2)
        return cls(
            folded, expected, exported.path, unseen, evaluate(folded.graph, "float64", {"image": unseen})["scores"]
        )

    @property
    def bound(self) -> float:
        return self.expected.reference.bound("scores")

    def file(self, kind: CandidateKind) -> Path:
        return self.bundle / {CandidateKind.ONNX: ONNX, CandidateKind.KERAS: KERAS_FILE}[kind]

    def changes(self, shown: Shown) -> bool:
        """True if an answer to unseen inputs is beyond the bound, or missing."""
        return not within(shown.away, self.bound)

    def copied(self, folder: Path) -> Path:
        """The bundle without its manifest, reports and Keras model, to be spoiled."""
        folder.mkdir(parents=True)
        for name in BUNDLED:
            path = self.bundle / name
            (partial(shutil.copytree) if path.is_dir() else shutil.copyfile)(path, folder / name)
        return folder

    def show(self, spoiled: Iterable[Spoiled], workers: tuple[VerificationWorker, ...]) -> list[Shown]:
        """The results of every artifact: of the verifier, in a pair of new processes, and of a server's gate."""
        spoiled = list(spoiled)
        by_artifact = [tuple(_candidates(f"spoiled_{index}", artifact)) for index, artifact in enumerate(spoiled)]
        verifier = Verifier(self.expected.reference, self.expected.rows, self.folded.signature)
        flat = tuple(candidate for candidates in by_artifact for candidate in candidates)
        with TemporaryDirectory() as folder:
            run = verifier.start(flat, workers, Path(folder) / "verify")
            verdicts = run.finish(self.folded.model, lambda text: None).candidates[-len(flat) :]
        failures = {c.key: verdict.failures for c, verdict in zip(flat, verdicts, strict=True)}
        assert not [
            key for key, messages in failures.items() if any(" process ended " in message for message in messages)
        ]
        return [
            Shown(artifact.name, *self._met(artifact, candidates, [f for c in candidates for f in failures[c.key]]))
            for artifact, candidates in zip(spoiled, by_artifact, strict=True)
        ]

    def _met(
        self, spoiled: Spoiled, candidates: tuple[Candidate, ...], failures: list[str]
    ) -> tuple[float, tuple[str, ...], str | None]:
        engine_kind = ENGINES.get(spoiled.kind)
        if engine_kind is None:
            job = VerificationJob((), self.folded.signature, self.expected.rows)
            return max(self._distance(candidate, job) for candidate in candidates), tuple(failures), NO_GATE
        directory = spoiled.path if spoiled.path.is_dir() else spoiled.path.parent
        refusal, engine = self.gate(directory, engine_kind)
        away = float("inf") if engine is None else self._away(engine.run)
        return away, tuple(failures), refusal

    def gate(self, directory: Path, kind: EngineKind) -> tuple[str | None, Engine | None]:
        """Writes a new manifest, so that numbers alone can differ, and starts the engine as a server does.

        Returns the error by which it is refused, and the engine where there is one.
        """
        self.seal(directory)
        engines: list[Engine] = []

        def load(*arguments: Any) -> Engine:
            engines.append(load_engine(*arguments))
            return engines[-1]

        try:
            start(_hello(directory, kind), load, 0, StageTimer())
        except FoldserveError as error:
            return type(error).__name__, next(iter(engines), None)
        return None, engines[0]

    def seal(self, directory: Path) -> None:
        manifest = Manifest.from_bytes((self.bundle / MANIFEST).read_bytes())
        (directory / MANIFEST).unlink(missing_ok=True)
        files = tuple(seal_file(directory, path) for path in sorted(directory.rglob("*")) if path.is_file())
        (directory / MANIFEST).write_bytes(replace(manifest, files=files).to_bytes())

    def _distance(self, candidate: Candidate, job: VerificationJob) -> float:
        """The deviation of an artifact that no engine serves."""
        try:
            return self._away(open_candidate(candidate, job))
        except Exception:
            return float("inf")

    def _away(self, run: CandidateFunction) -> float:
        try:
            answers: Mapping[str, np.ndarray] = run({"image": self.unseen})
        except Exception:
            return float("inf")
        scores = answers.get("scores")
        return (
            deviation(scores, self.truth) if scores is not None and scores.shape == self.truth.shape else float("inf")
        )


def _candidates(key: str, spoiled: Spoiled) -> Iterable[Candidate]:
    """The settings in which an export verifies an artifact of that kind."""
    directory = spoiled.path if spoiled.path.is_dir() else spoiled.path.parent
    for candidate in candidates_of(directory, spoiled.path):
        if candidate.kind is spoiled.kind:
            yield replace(candidate, key=f"{key}_{candidate.key}", name=spoiled.name)


def _hello(directory: Path, kind: EngineKind) -> EngineHello:
    spec = EngineSpec(kind=kind, max_queue_rows=1024, max_queue_bytes=1 << 30, load_on_one_core=False)
    return EngineHello(str(directory), os.getpid(), spec)


def thinned(spoils: Iterable[Any], most: int) -> list[Any]:
    """At most ``most`` of them, evenly spaced."""
    spoils = list(spoils)
    return spoils if len(spoils) <= most else [spoils[i] for i in np.linspace(0, len(spoils) - 1, most).astype(int)]
