"""What the gates said of the champion and the challenger is read without MLflow, and is what was registered."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry.world import BOOK, World, client

from tollgate import registry
from tollgate.errors import Refused
from tollgate.gates import GATES


def test_what_the_gates_said_is_read_without_mlflow_once_it_is_published(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    champion, challenger = world.promoted("a"), world.registered("b")
    assert registry.published_gates(BOOK, champion.version) == []
    registry.publish_gates(BOOK)
    monkeypatch.setenv("TOLLGATE_MLFLOW", "http://127.0.0.1:1")
    registry.publish_gates(BOOK)
    for version in (champion, challenger):
        told = registry.published_gates(BOOK, version.version)
        assert len(told) == len(GATES)
        assert told[0] == {"gate": "Ranking (AUC)", "measured": "-", "interval": "-", "limit": "-",
                           "verdict": "pass", "why": "Not asked."}


def test_gates_that_were_edited_after_registration_are_not_published(world: World, tmp_path: Path) -> None:
    version = world.registered("a")
    edited = tmp_path / "gates.json"
    edited.write_text('{"verdicts": []}')
    client().log_artifact(version.run_id, str(edited))
    with pytest.raises(Refused, match="gates.json of tollgate-consumer version 1 changed after registration"):
        registry.publish_gates(BOOK)
    assert registry.published_gates(BOOK, version.version) == []
