"""Labels: which fields have them, which expressions read such a field, and which purposes may."""

from __future__ import annotations

from typing import Any

import pytest

from wayline.catalog.label_checks import refused_models, unlawful
from wayline.catalog.labels import classification, labelled
from wayline.catalog.model import Catalog
from wayline.catalog.uses import refused_inputs
from wayline.v1 import prediction_pb2

TRAITS: dict[str, Any] = {
    "diagnosis": {"kind": "last", "event": "Test Booked", "property": "illness"},
    "visits": {"kind": "count", "event": "page"},
    "tests": {"kind": "count", "event": "Test Booked", "where": {"illness": "flu"}},
    "mail": {"kind": "attribute", "attribute": "email"},
    "illnesses": {"kind": "affinity", "event": "Test Booked", "property": "illness", "half_life": "7d"},
    "main": {"kind": "top", "of": "illnesses"},
    "rate": {"kind": "ratio", "of": "tests", "per": "visits"},
    "ill": {"kind": "rule", "rule": 'profile.main != ""'},
    "worried": {"kind": "rule", "rule": "profile.ill && profile.visits > 3"},
    "tier": {"kind": "attribute", "labels": "children"},
    "grown": {"kind": "rule", "rule": '[profile].all(p, p.tier == "")'},
}


def a_catalog(eligibility: str = "true", *, email: bool = False, **fields: Any) -> Catalog:
    treatment: dict[str, Any] = {"id": "a", "placements": ["offer" if email else "hero"]}
    treatment.update(fields.pop("treatment", {}))
    action = {"id": "a1", "eligibility": eligibility, "treatments": [treatment], **fields.pop("action", {})}
    return Catalog.model_validate(
        {
            "traits": TRAITS,
            "context": {"city": {"labels": ["location"]}, "visits": {"type": "integer"}},
            "properties": {"illness": {"labels": ["health"]}, "email": {"labels": ["identifier"]}},
            "purposes": {"personalisation": {"may_use": ["location"]}, "mailing": {}},
            "personalisation": "personalisation",
            "channels": {"web": {}, "email": {"purpose": "mailing"}},
            "placements": {"hero": {"channel": "web"}, "offer": {"channel": "email"}},
            "issues": [{"id": "sales", "groups": [{"id": "g", "actions": [action]}]}],
            **fields,
        }
    )


LABELLED = labelled(a_catalog())


def messages(catalog: Catalog) -> list[str]:
    return [one.message for one in unlawful(catalog)]


def test_a_trait_has_its_own_labels_and_those_of_all_that_it_is_made_of():
    found = {name: set(origins) for (section, name), origins in LABELLED.fields.items() if section == "profile"}
    ill = {name: {"health"} for name in ("diagnosis", "tests", "illnesses", "main", "rate", "ill", "worried")}
    assert found == {**ill, "mail": {"identifier"}, "tier": {"children"}, "grown": {"children"}}


def test_audiences_have_the_labels_of_what_their_rules_read():
    catalog = a_catalog(audiences={"patients": "profile.worried", "regulars": "profile.visits > 9"})
    fields = labelled(catalog).fields
    assert set(fields["profile", "patients"]) == {"health"}
    assert ("profile", "regulars") not in fields


def test_each_field_is_an_identifier_sensitive_or_ordinary():
    found = classification(a_catalog())
    assert found["profile.mail"] == "identifier"
    assert found["profile.worried"] == "sensitive"
    assert found["profile.visits"] == "ordinary"
    assert found["context.city"] == "sensitive"
    assert found["properties.email"] == "identifier"


def test_where_events_name_identifiers_fields_are_identifiers_without_a_label():
    traits = {
        "phone": {"kind": "attribute"},
        "card": {"kind": "last", "event": "Order Completed", "property": "loyaltyCard"},
        "tier": {"kind": "attribute"},
    }
    found = classification(
        Catalog.model_validate({"traits": traits, "identifiers": {"loyalty_card": {"from": "properties.loyaltyCard"}}})
    )
    assert [found[f"profile.{name}"] for name in traits] == ["identifier", "identifier", "ordinary"]
    assert found["properties.loyaltyCard"] == "identifier"


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("profile.tier == 'gold'", ["tier"]),
        ("profile . tier == 'gold'", ["tier"]),
        ("profile\n.tier == 'gold'", ["tier"]),
        ("profile // the customer\n.tier == 'gold'", ["tier"]),
        ("has(profile.tier)", ["tier"]),
        ("profile.?tier.orValue('') == ''", ["tier"]),
        ("profile.`tier` == ''", ["tier"]),
        ("[profile].exists(p, p.tier == 'gold')", ["tier"]),
        ("[profile][0].tier == 'gold'", ["tier"]),
        ("(profile).tier == 'gold'", ["tier"]),
        ("[profile].exists(context, context.tier == 'gold')", ["tier"]),
        ("[1].all(at, context, context.tier == 'gold')", ["tier"]),
        ("p.context.tier == 'gold'", ["tier"]),
        ("profile.illnesses.exists(k, profile.illnesses[k] > 1.0)", ["illnesses"]),
        ("profile.visits > 3", []),
        ("context.visits > 3", []),
        ("'profile.tier' == 'x'", []),
        ('"""profile.tier""" == r"profile.tier\\"', []),
        ("profile.visits > 3 // not profile.tier", []),
        ("profile.visits.tier", []),
        ("action.tier == 'gold'", []),
        ("context.tier == 'gold'", []),
        ("tier == 'gold'", []),
    ],
)
def test_which_labelled_traits_an_expression_reads(expression: str, read: list[str]):
    assert [name for section, name in LABELLED.read_by(expression) if section == "profile"] == read


def test_a_rule_may_read_what_every_purpose_may_use():
    assert messages(a_catalog("context.city == 'Paris' && profile.visits > 2")) == []


def test_a_rule_that_reads_a_label_which_its_purpose_may_not_use_is_refused_in_words():
    (message,) = messages(a_catalog("profile.worried"))
    assert message == (
        "profile.worried is labelled 'health' (as the property 'illness' is), and the purpose 'personalisation' may "
        "not use 'health'; leave profile.worried out, or add 'health' to purposes.personalisation.may_use"
    )


def test_on_a_channel_with_a_purpose_that_purpose_has_to_be_allowed_as_well():
    (message,) = messages(a_catalog("context.city == 'Paris'", email=True))
    assert "the purpose 'mailing' may not use 'location'" in message


def test_a_rule_of_an_issue_serves_the_purposes_of_all_channels_below_it():
    catalog = a_catalog(email=True)
    (issue,) = catalog.model_dump(exclude_unset=True)["issues"]
    data = catalog.model_dump(exclude_unset=True) | {"issues": [issue | {"suitability": "context.city == 'Paris'"}]}
    (finding,) = unlawful(Catalog.model_validate(data))
    assert finding.path == ("issues", 0, "suitability", 0, "rule")
    assert "'mailing'" in finding.message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"action": {"context_weight": "profile.rate"}}, ("context_weight",)),
        ({"action": {"force": "profile.ill"}}, ("force",)),
        ({"treatment": {"suitability": "profile.ill"}}, ("treatments", 0, "suitability", 0, "rule")),
        ({"treatment": {"content": {"t": ["{{ profile.main }}"]}}}, ("treatments", 0, "content", "t", 0)),
        (
            {"treatment": {"variants": {"de": {"t": "{% if profile.ill %}x{% endif %}"}}}},
            ("treatments", 0, "variants", "de", "t"),
        ),
    ],
)
def test_weights_conditions_and_templates_are_held_to_it_too(fields: dict[str, Any], path: tuple[str | int, ...]):
    (finding,) = unlawful(a_catalog(**fields))
    assert finding.path == ("issues", 0, "groups", 0, "actions", 0, *path)
    assert "'health'" in finding.message


def test_variants_read_the_locale_by_which_they_are_chosen():
    traits = {**TRAITS, "locale": {"kind": "attribute", "labels": "location"}}
    catalog = a_catalog(traits=traits, purposes={"personalisation": {}}, context={}, channels={"web": {}, "email": {}})
    assert messages(catalog) == []
    (issue,) = catalog.model_dump(exclude_unset=True)["issues"]
    issue["groups"][0]["actions"][0]["treatments"][0]["variants"] = {"de": {}}
    (finding,) = unlawful(Catalog.model_validate(catalog.model_dump(exclude_unset=True) | {"issues": [issue]}))
    assert finding.path[-1] == "variants"


def test_variants_read_the_locale_of_the_request_where_it_is_declared():
    context = {"locale": {"labels": ["children"]}}
    (finding,) = unlawful(a_catalog(context=context, treatment={"variants": {"de": {}}}))
    assert "context.locale is labelled 'children'" in finding.message


def test_without_a_purpose_for_personalisation_nothing_with_a_label_may_be_used():
    (message,) = messages(a_catalog("profile.tier == 'x'", personalisation=None))
    assert "names no purpose for personalisation" in message


def a_manifest(**column: str) -> prediction_pb2.ModelManifest:
    return prediction_pb2.ModelManifest(
        name="m", inputs=[prediction_pb2.ModelInput(trait="visits"), prediction_pb2.ModelInput(**column)]
    )


@pytest.mark.parametrize("column", [{"trait": "rate"}, {"cel": "profile.rate * 2.0"}])
def test_a_model_may_not_read_what_the_purposes_of_its_actions_may_not_use(column: dict[str, str]):
    catalog = a_catalog(action={"propensity": {"model": "m"}})
    (refused,) = refused_inputs(catalog, "m", a_manifest(**column))
    assert refused.startswith("inputs[1]: profile.rate is labelled 'health'")
    (finding,) = refused_models(catalog, {"m": a_manifest(**column), "other": a_manifest(**column)})
    assert finding.path == ("issues", 0, "groups", 0, "actions", 0, "propensity", "model")


def test_a_model_is_held_to_the_purposes_of_the_channels_on_which_it_scores():
    by_mail = a_catalog(action={"propensity": {"model": "m"}}, email=True)
    on_the_web = a_catalog(action={"propensity": {"model": "m"}})
    manifest = a_manifest(context="city")
    assert refused_inputs(on_the_web, "m", manifest) == []
    assert "'mailing'" in refused_inputs(by_mail, "m", manifest)[0]


def test_an_arm_of_an_experiment_puts_no_model_in_place_that_may_not_be_used():
    arms = {"usual": {"share": 0.5}, "other": {"share": 0.5, "models": {"m": "n"}}}
    catalog = a_catalog(action={"propensity": {"model": "m"}}, experiments=[{"id": "e", "arms": arms}])
    (finding,) = refused_models(catalog, {"m": a_manifest(trait="visits"), "n": a_manifest(trait="rate")})
    assert finding.path == ("experiments", 0, "arms", "other", "models", "m")
    assert finding.message.startswith("the champion of the model 'n' may not be used: inputs[1]: profile.rate")


def test_a_model_that_no_action_asks_for_is_held_to_personalisation():
    (refused,) = refused_inputs(a_catalog(), "m", a_manifest(trait="tier"))
    assert "'personalisation' may not use 'children'" in refused


def test_collection_names_purposes_that_there_are():
    catalog = a_catalog(collection={"purpose": "analitics", "events": {"Ad Clicked": "ads"}})
    assert [(one.path, one.message[:30]) for one in unlawful(catalog)] == [
        (("collection", "purpose"), "there is no purpose 'analitics"),
        (("collection", "events", "Ad Clicked"), "there is no purpose 'ads' (the"),
    ]
