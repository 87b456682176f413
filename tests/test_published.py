from __future__ import annotations

from importlib.resources import files

import pytest

from mediaref_tools.published import published


@pytest.mark.parametrize("name", sorted(published()))
def test_published_contract_is_what_the_models_say(name: str) -> None:
    text = (files("mediaref_tools.schemas") / name).read_text(encoding="utf-8")
    assert text == published()[name], "run `make schemas` and read the difference: others rely on these files"


def test_nothing_else_is_published() -> None:
    names = [entry.name for entry in files("mediaref_tools.schemas").iterdir()]
    found = {name for name in names if name.endswith((".json", ".txt"))}
    assert found == set(published())
