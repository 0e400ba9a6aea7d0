"""Budgets of a diagnosis: the amount of computing that it may spend on measurements."""

from dataclasses import dataclass

from .drift import threshold


@dataclass(frozen=True, slots=True)
class Budget:
    """The extent of the measurements.

    Attributes:
        during_export: True for a model that is being exported: its artifacts are free of some of its faults.
        least_rows: The fewest samples whose statistics are taken.
        rows_factor: The factor by which samples count towards the drift that chance leaves. Above 1 where samples are
            few, for drifts that are means over all channels.
        measured_layers: The most drifting layers whose effects on the predictions are measured, those that drift most;
            None for all.
        effect_rows: The most samples on which an effect is measured.
    """

    during_export: bool
    least_rows: int
    rows_factor: int
    measured_layers: int | None
    effect_rows: int

    def limit(self, samples: int) -> float:
        """The drift that chance and a healthy training may leave in a layer, on so many samples."""
        return threshold(self.rows_factor * samples)


FULL = Budget(during_export=False, least_rows=1, rows_factor=1, measured_layers=None, effect_rows=64)

# An export is verified on few rows and must not take long: all effects together are one small pass.
ONE_PASS = Budget(during_export=True, least_rows=8, rows_factor=4, measured_layers=3, effect_rows=4)
