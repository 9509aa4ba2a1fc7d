"""The reviewer's report: twenty points, every number found again, and nothing in it that runs, asks or hides."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import PRODUCTS, left, taken_apart, words_of

import nbproof.report
from nbproof.errors import ReportRefused
from nbproof.notebook.document import read as read_notebook
from nbproof.report import purity, render, spelling
from nbproof.report.building import NOTEBOOK, Built, build
from nbproof.report.document import Count, Drawing, Missing, Owed, Said, Section
from nbproof.report.evidence import Evidence
from nbproof.report.points import answering, asking, owed
from nbproof.report.points.catalogue import POINTS
from nbproof.report.points.frameworks import FRAMEWORKS
from nbproof.report.verifying import read_page, verify

PACKAGE = Path(nbproof.report.__file__).parent
HARM = (
    "<script>alert(1)</script><img src=http://evil/x.png onerror=alert(2)><svg onload=alert(3)></style></table>"
    "<a href='javascript:alert(4)'>x</a>&quot; onmouseover=alert(5) ' \" \u202etfel\u0000\ud800 {{ 7*7 }} <!-- --> ]]>"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A report over a small evidence, written once; for reading only."""
    root = tmp_path_factory.mktemp("evidence")
    return build(left(root), root / "out" / "report.html", root=root)


@pytest.fixture(scope="module")
def page(built: Built) -> str:
    return built.path.read_text(encoding="utf-8")


def test_it_has_the_twenty_points_in_order(page: str) -> None:
    """Each point is a section with a heading and its question."""
    titles = re.findall(r'<h2><span class="number">(\d+)</span> (.*?)</h2>', page)

    assert titles == [(str(point.number), point.title) for point in POINTS]
    assert [point.number for point in POINTS] == list(range(1, 21))
    assert all(point.asks in page for point in POINTS)


def test_every_value_is_found_again_in_its_source(built: Built) -> None:
    """The page is read as a stranger would: file, hash, place, exact value and shown text of each value."""
    found = verify(built.path)

    assert found.problems == ()
    assert found.values == built.verified.values > 150
    assert found.files == 6


def test_every_number_has_a_source_or_is_of_our_words(built: Built, page: str) -> None:
    """A figure that stands anywhere without a source would have to be in a name of the evidence, or in fixed words."""
    ours = " ".join(path.read_text(encoding="utf-8") for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2")])
    known = words_of(PRODUCTS) | {path for of in left(built.path.parent / "again").values() for path in of.values()}
    hashes = {held["data-sha256"] for _, held in taken_apart(page).tags if "data-sha256" in held}

    unknown = [
        (word, text)
        for text, around in taken_apart(page).texts
        if not any("data-pointer" in held or "data-tick" in held or held[""] in ("style", "head") for held in around)
        for word in re.findall(r"[^\s,;:()“”\[\]]*\d[^\s,;:()“”\[\]]*", text)
        if not re.fullmatch(r"s?\d{1,2}", word) and word not in hashes
        if word.strip(".") not in ours and not any(word.strip(".") in name for name in known)
    ]

    assert unknown == []


def test_small_numbers_without_a_source_are_links_and_ordinals(page: str) -> None:
    """A bare number stands only where it leads to a point, or names one."""
    bare = [
        (text, around[-1][""])
        for text, around in taken_apart(page).texts
        if re.fullmatch(r"\s*\d+\s*", text)
        and not any("data-pointer" in held or "data-tick" in held for held in around)
        and not around[-1].get("href", "").startswith("#p")
        and around[-1].get("class") != "number"
        # A heading of a framework: Annex IV counts its paragraphs.
        and not any(held.get("class") == "fixed" for held in around)
    ]

    assert bare == []


def test_it_is_one_file_that_runs_nothing_and_asks_nobody(page: str) -> None:
    """No script, no frame, no form; links lead within the page; the policy forbids the rest."""
    seen = taken_apart(page)

    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "input", "details"} & seen.names()
    assert [each for each in seen.addresses() if not each.startswith("#")] == []
    assert [name for _, held in seen.tags for name in held if name.startswith("on") or name == "style"] == []
    policy = next(held["content"] for _, held in seen.tags if "http-equiv" in held)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    # The namespace of pictures is a name and no address that anybody asks.
    assert set(re.findall(r"https?://[^\"'\s<]*", page)) == {"http://www.w3.org/2000/svg"}


def test_links_lead_somewhere(page: str) -> None:
    """Each link's target is there once."""
    seen = taken_apart(page)
    targets = [held["id"] for _, held in seen.tags if "id" in held]

    assert {each.removeprefix("#") for each in seen.addresses()} <= set(targets)
    assert len(targets) == len(set(targets))


def test_it_never_says_that_a_rule_is_met(page: str) -> None:
    """It tells of evidence and of what is missing; the judgement is not its own."""
    assert not re.search(r"complian(t|ce with)|conform(s|ant|ity)\b|fulfil", page, re.I)
    for framework in FRAMEWORKS:
        assert f"<h3>{framework.name}</h3>" in page


def test_the_frameworks_are_those_that_a_reviewer_knows() -> None:
    """Every heading leads to points that there are; every point answers some heading."""
    named = " ".join(framework.name for framework in FRAMEWORKS)
    numbers = {number for framework in FRAMEWORKS for demand in framework.demands for number in demand.points}

    for name in ("SR 26-2", "SR 11-7", "Annex IV", "Article 13", "NIST AI RMF", "Regulation B", "Model cards",
                 "Datasheets", "21 CFR Part 11"):  # fmt: skip
        assert name in named
    assert numbers == {point.number for point in POINTS}


def framework_rows(page: str, name: str) -> dict[str, str]:
    """What the table of a framework says of the evidence for each heading."""
    table = page.split(f"<h3>{name}</h3>")[1].split("</table>")[0]
    return dict(re.findall(r'<th scope="row">(.*?)</th>.*?<td class="(?:good|bad)">(.*?)</td>', table))


def test_a_heading_has_evidence_only_where_something_is_evidence_for_it(page: str) -> None:
    """Other values under the same point do not count: nothing tells of hardware, of security or of a decision."""
    annex = framework_rows(page, "EU AI Act, Annex IV (technical documentation)")
    profile = framework_rows(page, "NIST AI RMF 1.0 (AI 100-1)")

    assert (annex["1(a)"], annex["2(g)"], annex["9"]) == ("there is", "there is", "there is")
    assert (annex["1(e)"], annex["2(h)"], annex["5"], annex["2(d)"]) == ("none", "none", "none", "none")
    assert (profile["MEASURE 2.9"], profile["MEASURE 2.11"]) == ("there is", "there is")
    assert (profile["MANAGE 1.1"], profile["MEASURE 1.3"], profile["MAP 5.1"]) == ("none", "none", "none")


def test_what_counts_as_evidence_is_what_the_points_ask_for() -> None:
    """Every place that a framework names is of a product, or of an answer, that there is."""
    products = {"/".join(value) for name, value in vars(asking).items() if name.isupper()}

    for framework in FRAMEWORKS:
        for place in (each for demand in framework.demands for each in demand.evidence):
            phase, *inside = place.split("/")
            if phase == "people":
                assert inside[0] == "answers"
                assert inside[1] in owed.OWED
            else:
                assert any(f"{product}/".startswith(f"{'/'.join(place.split('/')[:2])}") for product in products), place


def test_what_people_owe_and_what_is_missing_is_visible(built: Built, page: str) -> None:
    """Owed words stand under their point and in a list; evidence that nobody left is called missing."""
    assert {each.code for each in built.owed} >= set(owed.OWED) - {""}
    assert "<strong>Owed by model owner:</strong> the person or organisation that answers for the model" in page
    assert "<strong>Owed by operations:</strong> the decision on the retraining that is asked for" in page
    assert any(each.what == "The catalogue of the data" for each in built.missing)
    assert '<p class="missing"><strong>Missing:</strong> The catalogue of the data.' in page


def test_baselines_stand_beside_the_audit(page: str) -> None:
    """What chance reaches is read from the audit itself."""
    label = "deletion by SHAP: baseline, features in a random order"

    pointers = [told.pointer for told in read_page(page).values]

    assert label in page
    assert "/audit/0/numbers/shap_deletion_random" in pointers
    assert "/beside/audit/0/numbers/shap_deletion_random" in pointers


def test_pictures_are_words_for_who_cannot_see_them(page: str) -> None:
    """Each picture is inline, named and described, and the table that it is drawn from follows it."""
    pictures = re.findall(r"<figure>\s*<svg.*?</svg>\s*<div class=\"scroll\".*?<table>", page, re.S)

    assert len(pictures) == page.count("<svg") == page.count("<figure>") >= 7
    for picture in pictures:
        assert re.search(r'role="img" aria-labelledby="(title-\w+) (told-\w+)".*<title id="\1">.+</title>'
                         r'<desc id="\2">.+</desc>', picture)  # fmt: skip


def test_a_number_that_was_changed_on_the_page_is_found(built: Built, page: str, tmp_path: Path) -> None:
    """Another value, another shown text, another place: each is a problem, and names where."""
    assert page.count('data-value="0.8812345">0.8812<') == 2
    for old, new in (
        ('data-value="0.8812345">0.8812<', 'data-value="0.99">0.99<'),
        ('data-value="0.8812345">0.8812<', 'data-value="0.8812345">0.99<'),
        ('data-pointer="/thresholds/0/value"', 'data-pointer="/thresholds/1/value"'),
        ('data-pointer="/thresholds/0/value"', 'data-pointer="/thresholds/-1/value"'),
        ('data-pointer="/thresholds" data-value="1"', 'data-pointer="/thresholds" data-value="2"'),
    ):
        assert old in page
        forged = tmp_path / "report.html"
        forged.write_text(page.replace(old, new), encoding="utf-8")

        assert verify(forged, root=built.path.parents[1]).problems


def test_a_source_that_changed_is_found(tmp_path: Path) -> None:
    """A file that is not the one that was read, is gone, or lies outside is a problem."""
    root = tmp_path / "project"
    written = build(left(root), root / "report.html", root=root)
    metrics = root / "06_training/metrics.json"
    metrics.write_text(metrics.read_text() + " ")
    (root / "10_monitoring/drift.json").unlink()

    found = verify(written.path)

    assert [re.sub(r"^s\d+: ", "", each).split(":")[0].split("(")[0].strip() for each in found.problems] == [
        "`06_training/metrics.json` is no longer the file that was read",
        "`10_monitoring/drift.json` cannot be read",
    ]
    outside = written.path.read_text().replace('data-file="06_training', 'data-file="../06_training')
    written.path.write_text(outside)
    assert any("lies outside" in each for each in verify(written.path, root=root).problems)


def test_a_script_that_came_into_the_page_later_is_refused(built: Built, page: str, tmp_path: Path) -> None:
    """All values may still be found; it is no report any more."""
    forged = tmp_path / "report.html"
    forged.write_text(page.replace("</main>", "<script>1</script></main>"), encoding="utf-8")

    with pytest.raises(ReportRefused, match="it holds a <script>"):
        verify(forged, root=built.path.parents[1])


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    """A page without sources, and a file that is none, verify nothing."""
    empty = tmp_path / "empty.html"
    empty.write_text("<p>all is well: 0.99</p>")

    for path in (empty, tmp_path / "none.html"):
        with pytest.raises(ReportRefused):
            verify(path)


def test_hostile_evidence_stays_words(tmp_path: Path) -> None:
    """Script, markup, links, templates, half characters, a megabyte and what is no number harm nobody."""
    evil = copy.deepcopy(PRODUCTS)
    name = HARM.replace("\0", "").replace("\ud800", "")
    evil["01_scoping"]["requirements.yaml"]["owners"] = {name: "x"}
    evil["07_registration"]["registration.json"] = {"name": HARM, "semver": "x" * 1_000_000}
    metrics = evil["06_training"]["metrics.json"]
    metrics["slices"] = {name: {name: {"rows": float("nan"), "mean_probability": float("inf"), "observed_rate": 1e300}}}
    metrics["thresholds"][0] |= {"name": HARM, "value": float("nan"), "verdict": HARM, "limit": "javascript:alert(1)"}
    evil["06_training"]["explanation.json"]["beside"]["cases"][0] |= {
        "chosen_as": HARM, "features": {name: {"value": HARM, "shap": float("-inf"), "lime": True}}
    }  # fmt: skip
    evil["10_monitoring"]["drift.json"]["windows"] = {name: {"columns": {name: {"psi": [1, {"a": HARM}]}}}}

    written = build(left(tmp_path, evil), tmp_path / "report.html", root=tmp_path)

    page = written.path.read_text(encoding="utf-8")
    seen = taken_apart(page)
    assert verify(written.path).problems == ()
    assert not {"script", "iframe", "a-", "form"} & seen.names()
    assert seen.names() <= purity.TAGS
    assert {name for _, held in seen.tags for name in held} <= purity.ATTRIBUTES
    assert [each for each in seen.addresses() if not each.startswith("#")] == []
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u0000-\u0008]", "".join(text for text, _ in seen.texts))
    assert "{{ 7*7 }}" in "".join(text for text, _ in seen.texts)
    assert len(page) < 1_000_000


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_name_that_no_page_can_hold_is_refused(tmp_path: Path, character: str) -> None:
    """A place that cannot be written cannot be found again: nothing is shown under another name."""
    evil = {"07_registration": {"registration.json": {"name": "m"}}, "01_scoping": {"requirements.json": {
        "owners": {f"a{character}b": "x"}}}}  # fmt: skip

    with pytest.raises(ReportRefused, match="there is nothing"):
        build(left(tmp_path, evil), tmp_path / "report.html", root=tmp_path)

    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "harm",
    [
        "<script>1</script>", "<b onclick=1>x</b>", "<b style='color:red'>x</b>", "<a href='javascript:1'>x</a>",
        "<a href='http://x'>x</a>", "<img src='http://x'>", "<img src='data:text/html,x'>", "<iframe></iframe>",
        "<style>b{}</style>", "<meta http-equiv='refresh' content='0'>", "<!-- x -->", "<?x?>", "<rect fill='url(http://x)'/>",
        "<svg xmlns='http://x'></svg>", "<foreignobject></foreignobject>", "<b formaction=x>x</b>",
    ],
)  # fmt: skip
def test_the_wall_lets_nothing_through(page: str, harm: str) -> None:
    """Whatever a template let through by mistake, the page would not be written."""
    purity.check(page)

    with pytest.raises(ReportRefused):
        purity.check(page.replace("<main", f"{harm}<main"))


def test_a_page_without_a_policy_is_refused(page: str) -> None:
    """The wall looks for the policy, too."""
    with pytest.raises(ReportRefused, match="no policy"):
        purity.check(re.sub(r"<meta http-equiv=[^>]*>", "", page))


def test_without_any_evidence_everything_is_missing(tmp_path: Path) -> None:
    """A pipeline that leaves none of the products has a report that says so, twenty times."""
    written = build({}, tmp_path / "report.html", root=tmp_path)

    assert written.verified.values == 0
    page = written.path.read_text()
    assert page.count('<td class="bad">none</td>') >= 20
    assert len(written.missing) > 20


def test_a_product_that_is_gone_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """A report is never written over what cannot be read."""
    products = left(tmp_path)
    (tmp_path / "06_training/metrics.json").write_text("{not JSON")

    with pytest.raises(ReportRefused, match=r"metrics\.json`: it cannot be read"):
        build(products, tmp_path / "report.html", root=tmp_path)

    assert not (tmp_path / "report.html").exists()


def test_the_same_evidence_is_the_same_bytes(built: Built, page: str, tmp_path: Path) -> None:
    """A report depends on nothing but its evidence: no time, no machine."""
    again = build(left(tmp_path), tmp_path / "elsewhere.html", root=tmp_path)

    assert again.path.read_text(encoding="utf-8") == page


def test_an_answer_shows_who_gave_it(tmp_path: Path) -> None:
    """What was owed and is answered stands there with name and day, and is found again in its file."""
    answer = {"words": "Ana Silva, ana@example.org", "by": "Ana Silva", "date": "2026-11-20"}
    (tmp_path / "answers.yaml").write_text(yaml.safe_dump({"provider": answer}))
    evidence = Evidence({"people": {"answers": "answers.yaml"}}, tmp_path)

    said = owed.said(evidence, "provider")

    assert isinstance(said, Said)
    assert (said.words, said.by, said.on) == tuple(answer.values())
    assert isinstance(owed.said(evidence, "misuse"), Owed)


@pytest.mark.parametrize(
    "answer", ["yes", {"words": "x", "by": "Ana"}, {"words": " ", "by": "Ana", "date": "2026-01-01"}]
)
def test_an_answer_of_nobody_is_refused(tmp_path: Path, answer: Any) -> None:
    """Words without a name and a day answer nothing."""
    (tmp_path / "answers.yaml").write_text(yaml.safe_dump({"provider": answer}))

    with pytest.raises(ReportRefused, match="the answer `provider`: it does not say"):
        owed.said(Evidence({"people": {"answers": "answers.yaml"}}, tmp_path), "provider")


def test_an_answer_to_nothing_is_found(tmp_path: Path) -> None:
    """A misspelt name would leave a field owed for ever."""
    (tmp_path / "answers.yaml").write_text("providor: {words: x, by: y, date: z}")

    assert owed.unknown(Evidence({"people": {"answers": "answers.yaml"}}, tmp_path)) == ["providor"]


def test_the_notebook_shows_every_point() -> None:
    """The shipped notebook has one parameters cell, and a cell for each point of the catalogue, in order."""
    notebook = read_notebook(NOTEBOOK)
    code = [cell.source for cell in notebook.cells if cell.kind == "code"]

    assert [cell.id for cell in notebook.tagged("parameters")] == ["parameters"]
    assert code[2:] == [f'report.point("{point.name}")' for point in POINTS]
    assert list(answering.ANSWERS) == [point.name for point in POINTS]


def test_a_section_is_the_same_after_a_notebook_carried_it(tmp_path: Path) -> None:
    """Values travel as JSON, also those that JSON has no word for."""
    left(tmp_path, {"p": {"x.json": {"a": [{"n": float("inf"), "v": "met"}, {"n": None, "v": "failed"}], "b": True}}})
    evidence = Evidence({"p": {"x": "p/x.json"}}, tmp_path)
    table = evidence.table("T", "p", "x", "a", columns={"N": "n", "V": "v"}, marks="V")
    entries = (
        evidence.fact("B", "p", "x", "b", is_verdict=True),
        evidence.count("C", "p", "x", "a", where="v", holds=("met", "failed")),
        table, Drawing("groups", "D", (table,)), Owed("w", "o", "c"), Missing("m", "w"),
        Said("w", "words", "by", "on", table.source),
    )  # fmt: skip
    section = Section("S", entries, "asks", 3)

    carried = json.loads(json.dumps(spelling.written(section), allow_nan=False))

    assert spelling.read(carried) == section


def test_a_count_is_counted_again(tmp_path: Path) -> None:
    """It is no number of its own: the records that it counts are named, and counted when it is traced."""
    left(tmp_path, {"p": {"x.json": [{"v": "red"}, {"v": "green"}, {}]}})
    evidence = Evidence({"p": {"x": "p/x.json"}}, tmp_path)

    found = evidence.count("C", "p", "x", "", where="v", holds=("red",))

    assert found == Count("C", 1, evidence.source("p", "x"), "v", ("red",))


def test_a_place_is_a_json_pointer(tmp_path: Path) -> None:
    """Keys with slashes and tildes are told apart from steps, and negative steps lead nowhere."""
    left(tmp_path, {"p": {"x.json": {"a/b": {"~": [1, 2]}}}})
    evidence = Evidence({"p": {"x": "p/x.json"}}, tmp_path)

    fact = evidence.fact("F", "p", "x", "a~1b/~0/1")

    assert (fact.value, fact.source.pointer) == (2, "/a~1b/~0/1")
    assert not evidence.has("p", "x", "a~1b/~0/-1")
    table = evidence.table("T", "p", "x", "", columns={"K": "@key"})
    assert table.keys == ("a~1b",)


def test_the_digits_of_a_number_stay_together() -> None:
    """No line ends within one, and nothing turns the direction of what stands beside a value."""
    assert render.text_of(180_000) == "180\u202f000"
    assert render.text_of("a\tb\u202ec\u0007") == "a bc\ufffd"


def test_long_values_are_cut_and_told_by_their_hash() -> None:
    """A page stays small; the whole lies in the source, and the hash on the page is its own."""
    assert render.text_of("x" * 5000) == "x" * 4000 + " … (cut here; whole in its source)"
    assert render.spelt("x" * 5000).startswith("sha256:")
    assert render.spelt(0.1) == "0.1"
