"""The audit: what is sound passes, what is planted as unsound fails, what cannot be known is never a pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from nbproof.errors import Cancelled, DataUnusable, ExplanationRefused
from nbproof.explain import auditing, question
from nbproof.explain.auditing import Audit
from nbproof.explain.explanation import Explanation
from nbproof.explain.judging import looked
from nbproof.explain.line import Gauge, Line
from nbproof.explain.question import Question, ask
from nbproof.explain.shapley import dispatch


def audited(
    asked: Question,
    *,
    shap: planted.Explain = planted.shapley,
    lime: planted.Explain | None = planted.lime,
    **options: Any,
) -> Audit:
    return auditing.audit(
        asked,
        shap(asked, 0),
        None if lime is None else lime(asked, 0),
        explain_shap=shap,
        explain_lime=lime,
        **options,
    )


def verdicts(found: Audit) -> Mapping[str, str]:
    return {each.name: each.verdict for each in found.lines}


@pytest.fixture(scope="module")
def sound() -> Audit:
    """The audit of exact Shapley values and a fair LIME of a linear model, against an approved twin."""
    asked = planted.asked()
    return audited(asked, approved=planted.shapley(asked))


@pytest.fixture(scope="module")
def random() -> Audit:
    """The audit of an explainer that draws its values."""
    return audited(planted.asked(), shap=planted.noise, lime=None)


def test_a_sound_explanation_passes_throughout(sound: Audit) -> None:
    """Exact values of a linear model: all passes, but for the R² of bins, which are steps and no line."""
    assert verdicts(sound) == {
        "completeness of SHAP": "pass",
        "local fidelity of LIME (R²)": "warn",
        "SHAP–LIME agreement: top 4": "pass",
        "SHAP–LIME agreement: signs": "pass",
        "SHAP–LIME agreement: rank correlation": "pass",
        "repeatability of SHAP": "pass",
        "stability of SHAP: exact": "pass",
        "repeatability of LIME": "pass",
        "stability of LIME: same top 4 (VSI)": "pass",
        "stability of LIME: same coefficients (CSI)": "pass",
        "stability of LIME: sign flips": "pass",
        "deletion by SHAP": "pass",
        "insertion by SHAP": "pass",
        "deletion by LIME": "pass",
        "insertion by LIME": "pass",
        "infidelity of SHAP against saying nothing": "pass",
        "sensitivity of SHAP to the background": "pass",
        "randomised weights": "not evaluated",
        "could SHAP be gamed": "not evaluated",
        "could LIME be gamed": "pass",
        "drift from the approved explanation (nDCG)": "pass",
    }


def test_every_line_can_be_read_by_itself(sound: Audit) -> None:
    """Each line has a sentence, a threshold and a source, and no name stands twice."""
    assert len({each.name for each in sound.lines}) == len(sound.lines)
    for each in sound.lines:
        assert each.sentence.endswith(".")
        assert each.threshold.startswith("passes with")
        assert each.source


def test_numbers_have_names_of_their_own(sound: Audit) -> None:
    """A tracker gets flat names, among them those that people sort by."""
    found = sound.numbers()

    assert {"completeness_max", "lime_vsi", "agreement_top4", "shap_deletion_area", "drift_ndcg"} <= set(found)
    assert sum(len(each.numbers) for each in sound.lines) == len(found)


def test_a_random_explainer_fails_where_it_must(random: Audit) -> None:
    """Values that are noise add up, and fail deletion, insertion, infidelity and stability."""
    found = verdicts(random)

    assert found["completeness of SHAP"] == "pass"
    assert {name: found[name] for name in found if name.startswith(("deletion by S", "insertion by S", "infid"))} == {
        "deletion by SHAP": "fail",
        "insertion by SHAP": "fail",
        "infidelity of SHAP against saying nothing": "fail",
    }
    assert found["stability of SHAP: same top 4"] == "fail"
    assert random.line("stability of SHAP: same top 4").value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_no_seed_lets_noise_pass(seed: int) -> None:
    """Whatever the seed of the audit, an explainer of noise passes neither deletion nor infidelity."""
    found = verdicts(audited(planted.asked(), shap=planted.noise, lime=None, seed=seed))

    assert (found["deletion by SHAP"], found["infidelity of SHAP against saying nothing"]) == ("fail", "fail")


@pytest.mark.parametrize("drawn", range(6))
def test_a_whisper_of_noise_is_no_better_than_silence(drawn: int) -> None:
    """Noise so faint that half of the time it errs less than saying nothing fails nonetheless."""

    def faint(asked: Question, seed: int) -> Explanation:
        values = 0.01 * np.random.default_rng([seed, drawn]).normal(size=(*asked.rows.shape, 1))
        return asked.explained(values, asked.prediction, method="faint", seed=seed)

    line = audited(planted.asked(rows=planted.normal(30, 0)), shap=faint, lime=None).line(
        "infidelity of SHAP against saying nothing"
    )

    assert line.value == pytest.approx(1.0, abs=0.02)
    assert line.verdict == "fail"


def test_without_lime_its_lines_are_not_evaluated(random: Audit) -> None:
    """What was not handed in is said to be missing, and nothing about it passes."""
    about_lime = [each for each in random.lines if "LIME" in each.name]

    assert len(about_lime) == 11
    assert {each.verdict for each in about_lime} == {"not evaluated"}
    assert {each.sentence for each in about_lime} == {
        "Not evaluated: no LIME explanation was handed in.",
        "Not evaluated: no LIME explainer was handed in.",
    }


def test_an_unstable_explainer_is_found_out() -> None:
    """A surrogate whose coefficients change with the seed fails stability, and flips its signs."""
    found = audited(planted.asked(), lime=planted.moody)

    assert found.line("stability of LIME: same top 4 (VSI)").value == pytest.approx(0.5, abs=0.05)
    assert verdicts(found)["stability of LIME: same top 4 (VSI)"] == "fail"
    assert verdicts(found)["stability of LIME: sign flips"] == "fail"
    assert verdicts(found)["SHAP–LIME agreement: top 4"] in ("warn", "fail")
    assert verdicts(found)["repeatability of LIME"] == "pass"


@pytest.mark.parametrize(("r2", "expected"), [(0.95, "pass"), (0.3, "warn"), (0.02, "fail")])
def test_local_fidelity_is_judged_by_its_floor(r2: float, expected: str) -> None:
    """A line that tells nearly all of what the model does passes, a third warns, nearly nothing fails."""

    def fitted(asked: Question, seed: int) -> Explanation:
        made = planted.lime(asked, seed, samples=200)
        assert made.surrogate is not None
        return replace(made, surrogate=replace(made.surrogate, r2=np.full_like(made.surrogate.r2, r2)))

    asked = planted.asked(rows=planted.normal(12, 0))
    found = auditing.audit(
        asked, planted.shapley(asked), fitted(asked, 0), explain_shap=planted.shapley, explain_lime=None
    )

    assert (found.line("local fidelity of LIME (R²)").verdict, found.numbers()["lime_r2_low"]) == (expected, r2)


def test_an_ignored_seed_is_no_stability() -> None:
    """An explainer that gives the same numbers under every seed is repeatable, and its stability is not known."""

    def deaf(asked: Question, seed: int) -> Explanation:
        return planted.lime(asked, 3)

    found = audited(planted.asked(), lime=deaf)

    assert verdicts(found)["repeatability of LIME"] == "pass"
    line = found.line("stability of LIME: same top 4 (VSI)")
    assert line.verdict == "not evaluated"
    assert "the seed is ignored" in line.sentence


@pytest.mark.parametrize(("seed", "verdict"), [(0, "not evaluated"), (None, "pass")])
def test_values_without_chance_are_stable_only_if_none_was_claimed(seed: int | None, verdict: str) -> None:
    """The same numbers under every seed: stable by nature where no seed is named, ignored where one is."""

    def fixed(asked: Question, _: int) -> Explanation:
        return replace(planted.shapley(asked), is_exact=False, seed=seed)

    assert audited(planted.asked(), shap=fixed, lime=None).line("stability of SHAP: same top 4").verdict == verdict


def test_numbers_that_cannot_be_had_again_fail() -> None:
    """An explainer that answers the same seed twice differently fails repeatability."""
    calls = iter(range(1000))

    def forgetful(asked: Question, seed: int) -> Explanation:
        return planted.lime(asked, next(calls))

    assert verdicts(audited(planted.asked(), lime=forgetful))["repeatability of LIME"] == "fail"


def test_shares_that_claim_to_be_exact_and_miss_fail() -> None:
    """Exact values that are one part in a hundred off fail completeness; the same as an estimate pass or warn."""

    def off(asked: Question, seed: int) -> Explanation:
        return planted.shapley(asked, weights=planted.WEIGHTS * 1.01)

    def estimated(asked: Question, seed: int) -> Explanation:
        return replace(off(asked, seed), is_exact=False)

    assert verdicts(audited(planted.asked(), shap=off, lime=None))["completeness of SHAP"] == "fail"
    assert verdicts(audited(planted.asked(), shap=estimated, lime=None))["completeness of SHAP"] == "warn"


def related(rows: int, seed: int) -> np.ndarray:
    """Rows whose eight features follow one another: what draws each alone falls off them."""
    drawn = np.random.default_rng(seed)
    return drawn.normal(size=(rows, 1)) + 0.1 * drawn.normal(size=(rows, 8))


def biased(points: Any) -> Any:
    return (np.asarray(points)[:, 0] > 0) * 1.0


def gamed(points: Any) -> Any:
    """Biased on real rows; off them it answers by a feature that is none of its business."""
    points = np.asarray(points)
    return np.where(np.ptp(points, axis=1) < 0.8, biased(points), (points[:, 5] % 0.5 > 0.25) * 1.0)


@pytest.mark.parametrize(("model", "expected"), [(gamed, "fail"), (biased, "warn")])
def test_a_gamed_model_fails_and_an_honest_one_could_be(model: Any, expected: str) -> None:
    """The model that answers probes by another rule fails; its honest twin only gets told that LIME could be gamed."""
    asked = planted.asked(model, rows=related(60, 0), background=related(400, 1))

    found = audited(asked, shap=planted.enumerated)

    assert found.line("could LIME be gamed").verdict == expected
    assert found.line("could LIME be gamed").value == pytest.approx(0.97, abs=0.03)


def test_rows_that_are_real_are_no_probes() -> None:
    """An explainer that asks the model about real rows alone cannot be recognised by what it asks."""

    def real_rows_only(asked: Question, seed: int) -> Explanation:
        asked.asked(asked.needs_background("it"))
        asked.asked(asked.rows)
        return planted.shapley(asked)

    line = audited(planted.asked(), shap=real_rows_only, lime=None).line("could SHAP be gamed")

    assert line.verdict == "not evaluated"
    assert "asks the model about no made-up row" in line.sentence


def _of_trees(method: str | None) -> Line:
    """The line about SHAP of a forest whose features follow one another, explained by `method`."""
    known = related(400, 1)
    forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(known, known[:, 0] > 0)
    asked = ask(forest, related(30, 0), background=known)

    def shap(question: Question, seed: int) -> Explanation:
        return dispatch.explain(question, method=method, seed=seed)

    return audited(asked, shap=shap, lime=None).line("could SHAP be gamed")


def test_a_method_that_reads_the_trees_has_no_probes_to_recognise() -> None:
    """Tree SHAP asks nothing: the line is not evaluated, says why, and what it does not look at."""
    line = _of_trees(None)

    assert (line.verdict, line.value) == ("not evaluated", None)
    assert line.sentence.startswith("Not evaluated: the method trees reads the trees")
    assert "no made-up row" in line.sentence
    assert "is not looked at" in line.sentence


def test_the_rows_that_interventional_values_weigh_are_probes() -> None:
    """Values against a population weigh answers to mixed rows, and those are told from real rows with ease."""
    line = _of_trees("interventional")

    assert line.verdict == "warn"
    assert line.value is not None
    assert 0.9 < line.value < 1.0


def test_a_reversed_ranking_is_a_drift() -> None:
    """An approved explanation in which the weights stood the other way round rings the alarm, and names the feature."""
    asked = planted.asked()
    approved = planted.shapley(asked, weights=planted.WEIGHTS[::-1].copy())

    line = audited(asked, lime=None, approved=approved).line("drift from the approved explanation (nDCG)")

    assert line.verdict == "fail"
    assert line.value is not None
    assert line.value < 0.9
    assert "feature" in line.sentence


def test_an_approved_explanation_in_another_unit_is_not_compared() -> None:
    """Log-odds now and probabilities then say nothing of one another."""
    asked = planted.asked()
    approved = replace(planted.shapley(asked), unit="log-odds")

    line = audited(asked, lime=None, approved=approved).line("drift from the approved explanation (nDCG)")

    assert (line.verdict, line.value) == ("not evaluated", None)
    assert line.sentence == "Not evaluated: the approved explanation is in log-odds, this one in raw."


def network() -> torch.nn.Module:
    """A network that looks at its first feature alone."""
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).eval()
    with torch.no_grad():
        module[0].weight[:, 1:] *= 0.05
    return module


def by_network(asked: Question, seed: int) -> Explanation:
    return planted.enumerated(asked, seed, draws=20)


def of_the_rows(asked: Question, seed: int) -> Explanation:
    """An explainer that looks at the rows and never at the model: what Adebayo et al. found some to be."""
    values = asked.rows * asked.prediction.std()
    return asked.explained(values[:, :, None], np.zeros(1), method="edges")


@pytest.mark.parametrize(("explain", "expected"), [(by_network, "pass"), (of_the_rows, "fail")])
def test_an_explanation_of_a_network_depends_on_its_weights(explain: planted.Explain, expected: str) -> None:
    """An explainer that asks the network passes, one that sees rows alone fails; the network stays as it was."""
    module = network()
    before = [each.detach().clone() for each in module.parameters()]
    asked = planted.asked(module, rows=planted.normal(40, 0, 6), background=planted.normal(60, 1, 6))

    found = audited(asked, shap=explain, lime=None)

    assert found.line("randomised weights").verdict == expected
    assert all(torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True))


def test_a_background_that_decides_the_story_is_named() -> None:
    """Values that follow the background's own order and not the row's warn or fail when that changes."""

    def swayed(asked: Question, seed: int) -> Explanation:
        drawn = np.random.default_rng(int(1e6 * abs(asked.needs_background("it")[0, 0])))
        values = drawn.normal(size=(*asked.rows.shape, 1))
        return asked.explained(values, np.zeros(1), method="swayed")

    line = audited(planted.asked(), shap=swayed, lime=None).line("sensitivity of SHAP to the background")

    assert line.verdict == "fail"


def test_few_rows_cannot_be_judged_against_chance() -> None:
    """Of five rows deletion and infidelity are not evaluated, with the reason."""
    found = audited(planted.asked(rows=planted.normal(5, 0)), lime=None)

    for name in ("deletion by SHAP", "insertion by SHAP", "infidelity of SHAP against saying nothing"):
        assert found.line(name).sentence == "Not evaluated: 5 rows are too few to tell it from chance; 10 are needed."


def test_without_a_background_what_needs_one_is_not_evaluated() -> None:
    """Path-dependent values of trees have no background: nothing is replaced by what is not there."""

    def pathwise(asked: Question, seed: int) -> Explanation:
        values = asked.rows * planted.WEIGHTS
        return asked.explained(values[:, :, None], np.zeros(1), method="paths", is_exact=True, uses_background=False)

    found = audited(question.ask(planted.linear, planted.normal(30, 0)), shap=pathwise, lime=None)

    assert verdicts(found)["completeness of SHAP"] == "pass"
    for name in (
        "deletion by SHAP",
        "infidelity of SHAP against saying nothing",
        "sensitivity of SHAP to the background",
    ):
        assert found.line(name).verdict == "not evaluated"


def test_missing_values_are_no_obstacle() -> None:
    """Where the model takes missing values, in a column that never has one, too, the audit of SHAP is whole."""

    def patient(points: Any) -> Any:
        return planted.linear(np.nan_to_num(np.asarray(points)))

    rows, background = planted.normal(40, 0), planted.normal(150, 1)
    rows[::3, 1], background[::5, 1], rows[:, 7], background[:, 7] = np.nan, np.nan, np.nan, np.nan
    asked = planted.asked(patient, rows=rows, background=background)

    found = verdicts(audited(asked, shap=planted.enumerated, lime=None))

    assert found["completeness of SHAP"] == "pass"
    assert found["deletion by SHAP"] == "pass"
    assert found["could SHAP be gamed"] in ("pass", "warn")


def test_one_feature_has_nothing_to_rank() -> None:
    """A model of one feature: what compares orders is not evaluated, and nothing of it passes by default."""
    asked = planted.asked(
        lambda points: np.asarray(points)[:, 0] * 2, rows=planted.normal(30, 0, 1), background=planted.normal(50, 1, 1)
    )

    found = audited(asked, shap=planted.enumerated)

    for each in found.lines:
        if each.name.startswith(("SHAP–LIME", "deletion", "insertion", "stability")):
            assert each.verdict == "not evaluated", each


def test_a_model_that_never_changes_is_not_praised() -> None:
    """Of a constant model no line that compares with chance passes."""
    asked = planted.asked(lambda points: np.ones(len(points)))

    found = audited(asked, shap=planted.enumerated)

    for each in found.lines:
        if each.name.startswith(("local", "SHAP–LIME", "deletion", "insertion", "infidelity", "sensitivity")):
            assert each.verdict == "not evaluated", each


def test_slopes_are_compared_as_shares() -> None:
    """A LIME without bins tells slopes: taken times how far a value lies out they agree with exact shares."""

    def slopes(asked: Question, seed: int) -> Explanation:
        drawn = np.random.default_rng(seed)
        steady = planted.lime(asked, seed, samples=200)
        assert steady.surrogate is not None
        values = np.tile(planted.WEIGHTS[None, :, None], (len(asked.rows), 1, 1)) + drawn.normal(
            scale=0.01, size=steady.shape
        )
        surrogate = replace(steady.surrogate, bins=np.full_like(steady.surrogate.bins, -1))
        return asked.explained(values, steady.base, method="slopes", seed=seed, surrogate=surrogate)

    found = audited(planted.asked(), lime=slopes)

    assert found.line("SHAP–LIME agreement: signs").value == pytest.approx(1.0, abs=0.01)
    assert found.line("SHAP–LIME agreement: top 4").value == pytest.approx(1.0, abs=0.05)


def test_three_classes_are_audited_together() -> None:
    """A model of three outputs has one audit over them all."""

    def three(points: Any) -> Any:
        powers = np.exp(np.asarray(points)[:, :3])
        return powers / powers.sum(axis=1, keepdims=True)

    asked = planted.asked(
        three, rows=planted.normal(30, 0, 6), background=planted.normal(60, 1, 6), output_names=["a", "b", "c"]
    )

    found = audited(asked, shap=planted.enumerated)

    assert verdicts(found)["deletion by SHAP"] == "pass"
    assert verdicts(found)["infidelity of SHAP against saying nothing"] == "pass"


def test_the_same_seed_finds_the_same(sound: Audit) -> None:
    """Twice the same audit: equal bit for bit, but for what it cost; another seed finds other numbers."""
    asked = planted.asked()
    again, other = (audited(asked, approved=planted.shapley(asked), seed=seed) for seed in (0, 1))

    assert again == sound
    assert other != sound


def test_an_audit_is_read_as_it_was_written(sound: Audit) -> None:
    """Through JSON an audit comes back equal, its cost included."""
    found = Audit.read(json.loads(json.dumps(sound.written(), allow_nan=False)))

    assert found == sound
    assert found.cost == sound.cost


@pytest.mark.parametrize("spoil", ["lines", "seed", "cost"])
def test_a_damaged_audit_is_refused(sound: Audit, spoil: str) -> None:
    """An audit that lacks a part is an error of one line."""
    data = sound.written()
    del data[spoil]

    with pytest.raises(DataUnusable, match="the audit: found KeyError"):
        Audit.read(data)


@pytest.mark.parametrize("change", [{"verdict": "fine"}, {"value": None}, {"value": float("nan")}, {"more": 1}])
def test_a_damaged_line_is_refused(sound: Audit, change: dict[str, Any]) -> None:
    """An unknown verdict, a pass without a value, a number that is none and a field too many are refused."""
    with pytest.raises(DataUnusable, match="a line of an audit"):
        Line.read({**sound.lines[0].written(), **change})


def test_a_pass_without_a_value_cannot_be_made() -> None:
    """A line that was not evaluated has no value, and one with a verdict has one."""
    with pytest.raises(ValueError, match="a line has a value unless"):
        Line("x", None, "pass", "t", "s.", "o")
    with pytest.raises(ValueError, match="a line has a value unless"):
        Line("x", 1.0, "not evaluated", "t", "s.", "o")


@pytest.mark.parametrize(
    ("rises", "verdicts"),
    [(True, ["fail", "fail", "warn", "pass", "pass"]), (False, ["pass", "pass", "warn", "fail", "fail"])],
)
def test_a_gauge_judges_at_its_borders(rises: bool, verdicts: list[str]) -> None:
    """On the line that passes a value passes, on the line that fails it fails, between them it warns."""
    gauge = Gauge("g", "s", 0.8, 0.5) if rises else Gauge("g", "s", 0.5, 0.8, rises=False)

    assert [gauge.judge(value) for value in (0.4, 0.5, 0.6, 0.8, 0.9)] == verdicts


def test_an_explanation_of_other_rows_is_refused() -> None:
    """Values of other rows, or in another unit, are never judged as if they were these."""
    asked, other = planted.asked(), planted.asked(rows=planted.normal(60, 9))

    with pytest.raises(ExplanationRefused, match="found linear of other rows"):
        auditing.audit(asked, planted.shapley(other), None, explain_shap=planted.shapley, explain_lime=None)
    with pytest.raises(ExplanationRefused, match="found linear in log-odds"):
        auditing.audit(
            asked,
            replace(planted.shapley(asked), unit="log-odds"),
            None,
            explain_shap=planted.shapley,
            explain_lime=None,
        )


def test_an_error_of_an_explainer_is_a_reason_and_cancelling_is_not() -> None:
    """What an explainer refuses for a background is told in its line; a cancelled one ends the audit."""

    def choosy(asked: Question, seed: int) -> Explanation:
        if len(asked.rows) < 60:
            raise DataUnusable("the rows", "too few", "60")
        return planted.shapley(asked)

    def cancelled(asked: Question, seed: int) -> Explanation:
        if len(asked.rows) < 60:
            raise Cancelled(1, 2)
        return planted.shapley(asked)

    found = audited(planted.asked(), shap=choosy, lime=None)

    assert found.line("repeatability of SHAP").sentence == "Not evaluated: the rows: found too few, expected 60."
    with pytest.raises(Cancelled):
        audited(planted.asked(), shap=cancelled, lime=None)


def test_many_rows_are_looked_at_evenly() -> None:
    """Of 1000 rows 100 are looked at, the first and the last among them, and the audit says so."""
    asked = planted.asked(rows=planted.normal(1000, 0))

    found = audited(asked, lime=None)

    assert (found.rows, found.of_rows) == (100, 1000)
    assert looked.spread(1000, 100)[[0, -1]].tolist() == [0, 999]


def test_cautions_stand_in_the_audit() -> None:
    """What the guards saw is part of what a reviewer reads."""
    background = np.concatenate([planted.normal(150, 1), planted.normal(60, 0)[:2]])

    found = audited(planted.asked(background=background), lime=None)

    assert "background contains the row" in {each.check for each in found.cautions}


def test_the_question_is_left_as_it_was() -> None:
    """What the audit asks the model counts as the audit's cost, and not as the explanation's."""
    asked = planted.asked()
    before = asked.asked.rows

    found = audited(asked, shap=planted.enumerated, lime=None)

    # The explanation itself was computed once, before the audit: 60 draws of 8 features and a start.
    assert asked.asked.rows == before + 60 * 9 * 60
    assert found.cost.model_rows > 0


def test_every_line_is_documented(sound: Audit, random: Audit) -> None:
    """The concept page names each line that an audit can have."""
    page = (Path(__file__).parents[2] / "docs/concepts/audit.md").read_text()
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| ")]
    documented = {name.strip() for row in rows for name in row.split(", ")}

    found = {each.name.replace("top 4", "top k") for each in (*sound.lines, *random.lines)}

    assert found <= documented
