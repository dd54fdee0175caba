import dataclasses

import pytest

from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, TrainConfig


@pytest.mark.parametrize("kind", [ModelConfig, DataConfig, TrainConfig, InferenceConfig])
def test_settings_cannot_be_changed_by_accident(kind):
    name = dataclasses.fields(kind)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), name, None)
