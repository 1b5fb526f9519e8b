"""What a request says its class with is what the gateway reads."""

from __future__ import annotations

import pytest

from chaoskit.spec.carriage import Carry
from chaoskit.spec.classes import TrafficClass
from chaoskit.units import Share

CLASSES = {
    "premium": TrafficClass(share=Share.parse("20%"), priority=2),
    "batch": TrafficClass(share=Share.parse("80%"), priority=0, sent_as=None),
}


@pytest.mark.parametrize(
    ("words", "headers", "fields"),
    [
        ("service_tier", {}, {"service_tier": "premium"}),
        ("priority", {}, {"priority": -2}),
        ("header X-Class", {"x-class": "premium"}, {}),
        ("field metadata.tier", {}, {"metadata": {"tier": "premium"}}),
    ],
)
def test_a_class_is_read_where_it_was_written(words: str, headers: dict[str, str], fields: dict[str, object]) -> None:
    """Every class survives the way, in each place; vLLM's priority has the other sign."""
    carriage = Carry.model_validate({"class": words}).class_place.carriage(CLASSES)

    assert carriage.headers("premium") == headers
    assert carriage.fields("premium") == fields
    for name in CLASSES:
        assert carriage.read(carriage.headers(name), carriage.fields(name)) == name


@pytest.mark.parametrize("said", [None, "gold", "", True, 2.0, ["premium"], {"tier": "premium"}])
def test_what_is_no_value_of_a_class_is_no_class(said: object) -> None:
    """Nothing that a client writes becomes a class of its own."""
    carriage = Carry.model_validate({"class": "field tier"}).class_place.carriage(CLASSES)

    assert carriage.read({}, {"tier": said}) is None
    assert carriage.read({"tier": "premium"}, {}) is None
