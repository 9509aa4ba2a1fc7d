"""The eleven phases of an AI service engagement: the only list of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UnknownName


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the engagement: one notebook `NAME.ipynb`, and one guide page (a path from the project's root)."""

    number: int
    name: str
    title: str
    layer: str
    purpose: str

    @property
    def guide(self) -> str:
        return f"docs/guides/{self.name}.md"


PHASES: tuple[Phase, ...] = (
    Phase(
        1,
        "01_scoping",
        "Requirements scoping",
        "governance",
        "Declare the problem, the jurisdictions, the risk profile and the thresholds that the service must meet.",
    ),
    Phase(
        2,
        "02_data_audit",
        "Data audit",
        "ingestion",
        "Establish where the data comes from, what it holds and whether it is good enough.",
    ),
    Phase(
        3,
        "03_environment",
        "Environment standardisation",
        "environment",
        "Pin Python and every dependency, and show that what is installed is what is locked.",
    ),
    Phase(
        4,
        "04_features",
        "Feature pipeline",
        "features",
        "Turn the audited data into features without a look into the future, and record their lineage.",
    ),
    Phase(
        5,
        "05_tracking",
        "Experiment tracking",
        "tracking",
        "Set up the experiment and log a baseline that a second run reproduces.",
    ),
    Phase(
        6,
        "06_training",
        "Training and validation",
        "training",
        "Train the candidates, calibrate them and hold them against the declared thresholds.",
    ),
    Phase(
        7,
        "07_registration",
        "Registration and versioning",
        "registry",
        "Register the accepted model under a semantic version that points back to everything it came from.",
    ),
    Phase(
        8,
        "08_serving",
        "Packaging and serving",
        "serving",
        "Write the container context and show that the service answers as the model does.",
    ),
    Phase(
        9,
        "09_integration",
        "Integration testing",
        "integration",
        "Test the contract of the live endpoint: answers, refusals, bounds and latency.",
    ),
    Phase(
        10,
        "10_monitoring",
        "Monitoring",
        "observability",
        "Measure drift and performance on later windows, raise alerts and trigger retraining.",
    ),
    Phase(
        11,
        "11_documentation",
        "Documentation and filing",
        "documentation",
        "Write the model card, the data sheet and the report, each number traced to a product.",
    ),
)


def phase(name: str) -> Phase:
    """Return the phase called `name`; raise `UnknownName` when there is none.

    >>> phase("04_features").number
    4
    """
    for known in PHASES:
        if known.name == name:
            return known
    raise UnknownName("phase", name, [known.name for known in PHASES])
