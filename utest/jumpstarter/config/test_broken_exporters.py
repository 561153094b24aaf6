"""Each file in broken/ gives exactly the lines of its .expected file, FILE standing for its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.config.exporter import ExporterConfigV1Alpha1

BROKEN = Path(__file__).parent / "broken"


@pytest.mark.parametrize("name", sorted(path.stem for path in BROKEN.glob("*.yaml")))
def test_every_problem_of_the_file_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    with pytest.raises(ConfigurationError) as caught:
        ExporterConfigV1Alpha1.load_path(f"{name}.yaml").instantiate()
    expected = (BROKEN / f"{name}.expected").read_text()
    assert str(caught.value).replace(f"{name}.yaml:", "FILE:") + "\n" == expected
