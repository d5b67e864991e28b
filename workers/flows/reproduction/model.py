"""Segment: the model that a reproduction measures. The demo's is trained where it is missing."""

from __future__ import annotations

import logging

from service.contracts.base import Notice
from service.contracts.presets import DEMO_MODEL
from service.contracts.run_models import parse_run_model
from service.errors import InvalidInput
from service.reproduction.required_jobs import model_of
from service.settings import Settings
from workers.flows.engine.memory import memory_returned
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.reproduction.arguments import MODEL, ModelArguments, PreparedModel
from workers.models.loading import check_model

logger = logging.getLogger(__name__)


@runs(MODEL)
def prepare_model(arguments: ModelArguments, owner: SegmentOwner) -> PreparedModel:
    """The named model, or at scales below the paper's the demo's where the hub is away.

    Raises:
        InvalidInput: at the paper's scale there is no such model.
    """
    spec, settings = arguments.spec, owner.runtime.settings
    wanted, warnings = model_of(spec), []
    if wanted != DEMO_MODEL and parse_run_model(wanted) is None:
        try:
            check_model(wanted, None, settings.models_root)
        except InvalidInput as error:
            if spec.scale == "paper":
                raise
            message = f"the model could not be opened ({error.detail}); {DEMO_MODEL} is measured instead"
            warnings.append(Notice(code="other_model", message=message))
            wanted = DEMO_MODEL
    if wanted == DEMO_MODEL:
        _train_demo(settings, owner)
    return PreparedModel(model=wanted, warnings=warnings)


def _train_demo(settings: Settings, owner: SegmentOwner) -> None:
    """Train the demo's model on the built-in corpus, unless it is there."""
    if (settings.models_root / DEMO_MODEL / "config.json").exists():
        return
    from workers.training.small_gpt2 import train_into  # imports transformers, which takes seconds

    logger.info("training %s", DEMO_MODEL)
    with memory_returned():
        train_into(settings, DEMO_MODEL, tick=lambda: owner.progress(0))
