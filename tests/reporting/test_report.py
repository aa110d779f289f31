"""What a report says: each finding of a log made for it, and the same numbers in every format."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import polars_crowd as pc
from polars_crowd.cells import cell, is_number
from polars_crowd.errors import AnnotationError, OptionError, PackageError
from polars_crowd.reporting.content import Content, plain
from polars_crowd.reporting.fingerprint import fingerprint
from polars_crowd.reporting.html import bundle
from polars_crowd.reporting.report import LogReport
from tests.truth.truth_cases import unwarned

DATA = pc.datasets.tutorial()


def made(log: Any, pred_probs: Any = None, **options: Any) -> LogReport:
    with unwarned():
        return pc.report(log, pred_probs, path=None, **options)


def keys(log: Any, pred_probs: Any = None, **options: Any) -> list[str]:
    return made(log, pred_probs, **options).findings["key"].to_list()


# --- findings --------------------------------------------------------------------------------------


def simulated(accuracy: float = 0.95, n: int = 120, seed: int = 0, **columns: Any) -> pl.DataFrame:
    """Examples of three classes, five annotators each, who are right so often."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    wrong = (truth[:, None] + rng.integers(1, 3, (n, 5))) % 3
    labels = np.where(rng.random((n, 5)) < accuracy, truth[:, None], wrong)
    log = pl.DataFrame(
        {
            "example": np.repeat(np.arange(n), 5),
            "annotator": [f"a{j}" for j in range(5)] * n,
            "label": [f"c{k}" for k in labels.ravel()],
        }
    )
    return log.with_columns(**columns)


CLEAN = simulated()
TRUTH = pl.DataFrame({"example": np.arange(120), "label": [f"c{k % 3}" for k in range(120)]})
WRONG = TRUTH.with_columns(
    label=pl.when(pl.col("example") % 5 < 2).then(pl.lit("c0")).otherwise("label")
)
EN = pl.when(pl.col("example") % 4 > 0).then(pl.lit("en")).otherwise(pl.lit("de"))


def merged(log: pl.DataFrame) -> pl.DataFrame:
    """Nobody can tell c1 from c2."""
    coin = pl.Series(np.random.default_rng(1).integers(1, 3, log.height))
    return log.with_columns(
        label=pl.when(pl.col("label") == "c0").then("label").otherwise(pl.format("c{}", coin))
    )


def weak_in_one_group() -> pl.DataFrame:
    noisy = simulated(0.4, seed=2).select(noise="label")
    log = CLEAN.with_columns(noisy["noise"], group=EN)
    return log.with_columns(
        label=pl.when(pl.col("group") == "de").then("noise").otherwise("label")
    ).drop("noise")


def one_annotator_more() -> pl.DataFrame:
    more = pl.DataFrame({"example": np.arange(120, 900), "annotator": "a0", "label": "c0"})
    return pl.concat([CLEAN, more])


def with_answers_of(name: str, labels: pl.Expr, **columns: pl.Expr) -> pl.DataFrame:
    """One annotator more, who gives these labels."""
    one = CLEAN.filter(annotator="a0").with_columns(annotator=pl.lit(name), label=labels)
    return pl.concat([CLEAN, one.select(CLEAN.columns)]).with_columns(**columns)


def copied() -> pl.DataFrame:
    """One annotator more, who says what another says who errs often."""
    log = simulated(0.75, n=300)
    one = log.filter(annotator="a0").with_columns(annotator=pl.lit("copy"))
    return pl.concat([log, one])


def tired() -> pl.DataFrame:
    """One annotator guesses from the twelfth week of twenty on."""
    log = simulated(0.92, n=1200, seed=5)
    week = pl.col("example") // 60
    noise = simulated(0.4, n=1200, seed=6)["label"]
    is_tired = (pl.col("annotator") == "a2") & (week >= 12)
    return log.with_columns(
        label=pl.when(is_tired).then(noise).otherwise("label"),
        timestamp=pl.datetime(2024, 1, 1) + pl.duration(weeks=week),
    )


COIN = pl.format("c{}", pl.Series(np.random.default_rng(3).integers(0, 3, 120)))
HASTE = pl.when(pl.col("annotator") == "quick").then(0.5).otherwise(10.0)
IDLE = pl.DataFrame({"example": np.arange(120), "c0": 0.34, "c1": 0.33, "c2": 0.33})
CASES: dict[str, Callable[[], list[str]]] = {
    "low_agreement": lambda: keys(simulated(0.6)),
    "no_agreement": lambda: keys(CLEAN.filter(annotator="a0")),
    "annotators_chance": lambda: keys(with_answers_of("coin", COIN)),
    "annotators_below_chance": lambda: keys(
        with_answers_of("turned", pl.format("c{}", (pl.col("example") + 1) % 3))
    ),
    "annotators_one_label": lambda: keys(with_answers_of("same", pl.lit("c1"))),
    "annotators_fast": lambda: keys(with_answers_of("quick", pl.col("label"), seconds=HASTE)),
    "copied_labels": lambda: keys(copied()),
    "drifting_annotators": lambda: keys(tired()),
    "separate_crowds": lambda: keys(
        CLEAN.with_columns(
            annotator=pl.format("{}{}", "annotator", pl.col("example") // 60).cast(pl.String)
        )
    ),
    "weak_groups": lambda: keys(weak_in_one_group(), by="group"),
    "confused_classes": lambda: keys(merged(CLEAN)),
    "unsure_consensus": lambda: keys(simulated(0.45)),
    "single_annotations": lambda: keys(one_annotator_more()),
    "oversure": lambda: keys(CLEAN, truth=WRONG),
    "wrong_consensus": lambda: keys(CLEAN, truth=WRONG),
    "one_who_decides": lambda: keys(one_annotator_more()),
    "idle_model": lambda: keys(CLEAN, IDLE),
    "check_spellings_of_one_label": lambda: keys(
        CLEAN.with_columns(
            label=pl.when(pl.col("example") == 3).then(pl.lit("C0")).otherwise("label")
        )
    ),
}


def test_a_clean_log_has_no_findings() -> None:
    assert keys(CLEAN.with_columns(group=EN), truth=TRUTH, by="group") == []


@pytest.mark.parametrize("key", CASES)
def test_findings_of_logs_made_for_them(key: str) -> None:
    assert key in CASES[key]()


def test_the_most_important_finding_is_first() -> None:
    found = made(weak_in_one_group(), by="group", truth=WRONG).findings
    severities = ["error", "warning", "note"]
    ranks = [
        (severities.index(severity), -reach)
        for severity, reach in found["severity", "reach"].rows()
    ]
    assert ranks == sorted(ranks)
    assert found.height >= 3


def test_alpha_without_those_who_answer_like_a_coin() -> None:
    log = with_answers_of("coin", COIN)
    row = made(log).findings.row(by_predicate=pl.col("key") == "annotators_chance", named=True)
    all_, others = (
        pc.krippendorff_alpha(rows)["value"].item()
        for rows in (log, log.filter(pl.col("annotator") != "coin"))
    )
    assert row["says"] == (
        "1 of 6 annotators answers like a coin: 'coin'. "
        f"Without them alpha rises from {all_:.3f} to {others:.3f}."
    )


def test_one_class_is_no_lack_of_annotators() -> None:
    found = made(CLEAN.with_columns(label=pl.lit("c0")))
    assert found.findings["key", "severity"].rows() == [("one_class", "note")]
    assert not any(table.frame.is_empty() for table in found.content.tables())


def test_of_two_classes_none_is_said_to_be_confused_with_the_other() -> None:
    coin = pl.Series(np.random.default_rng(1).integers(0, 2, CLEAN.height))
    found = keys(CLEAN.with_columns(label=coin))
    assert "low_agreement" in found
    assert "confused_classes" not in found


@pytest.mark.parametrize("duplicates", ["first", "last", "all"])
def test_duplicates_that_are_decided_on_are_no_fault(duplicates: Any) -> None:
    found = made(pl.concat([CLEAN, CLEAN.head(3)]), duplicates=duplicates)
    assert found.findings.is_empty()
    checks = next(table for table in found.content.tables() if table.key == "checks")
    row = checks.frame.row(by_predicate=pl.col("what") == "duplicate annotations", named=True)
    assert (row["severity"], row["count"]) == ("note", 3)
    assert "Say which" not in row["advice"]


def test_what_a_check_found_is_named_in_the_finding_not_in_what_to_do() -> None:
    log = CLEAN.with_columns(label=pl.when(pl.col("example") != 3).then("label"))
    row = made(log).findings.row(
        by_predicate=pl.col("key") == "check_examples_without_any_label", named=True
    )
    assert row["says"] == "Examples without any label (1): 3."
    assert row["do"] == "No label, no consensus: they are left out of every result."


def test_few_known_labels_weigh_little() -> None:
    rows = made(CLEAN, truth=WRONG).findings.filter(key="wrong_consensus")
    assert rows["reach"].item() == pytest.approx(1 - rows["high"].item())


def test_groups_are_named_and_their_percent_agreement_is_shown() -> None:
    found = made(weak_in_one_group(), by="group")
    row = found.findings.row(by_predicate=pl.col("key") == "weak_groups", named=True)
    assert "where group is 'de' alpha is" in row["says"]
    table = next(table for table in found.content.tables() if table.key == "agreement_by_group")
    log = weak_in_one_group().filter(group="de")
    percent = pc.percent_agreement(log)["value"].item()
    assert table.frame["group"][0] == "de"
    assert table.frame["percent_agreement"][0] == pytest.approx(percent, rel=1e-12)


def test_values_of_any_length_leave_a_report_readable() -> None:
    long = "x" * 5000
    log = CLEAN.with_columns(
        *(pl.format("{}-{}", name, pl.lit(long)) for name in ("annotator", "label")),
        example=pl.format("{}-{}", "example", pl.lit(long)),
    )
    text = made(log).text("md")
    assert max(map(len, re.findall("x+", text))) <= 1000
    assert len(text) < 200_000


WRITTEN = {
    "date": pl.col("timestamp").cast(pl.Date),
    "text": pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S"),
    "number": pl.col("timestamp").dt.epoch(),
    "time of day": pl.col("timestamp").dt.time(),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_drift_is_seen_where_times_are_written(way: str) -> None:
    found = keys(tired().with_columns(timestamp=WRITTEN[way]))
    assert ("drifting_annotators" in found) == (way in ("date", "text"))


def test_what_is_not_computed_or_warned_of_is_said_with_its_place() -> None:
    log = CLEAN.with_columns(timestamp=pl.lit("soon"))
    text = made(log).text("md").replace("\\", "")
    assert "Not computed: column 'timestamp' of the log is text that writes neither" in text
    nothing = pl.when(pl.col("example") == 3).then(pl.lit("NA")).otherwise("label")
    text = made(CLEAN.with_columns(label=nothing)).text("md").replace("\\", "")
    assert "Warned of: column 'label' of the log may not hold what is meant" in text


def test_a_log_that_is_no_store_is_read_once() -> None:
    read: list[int] = []

    def look(rows: pl.DataFrame) -> pl.DataFrame:
        read.append(rows.height)
        return rows

    log = CLEAN.with_columns(group=EN, timestamp=pl.date(2026, 1, 5))
    once = made(log.lazy().map_batches(look), by="group")
    assert read == [CLEAN.height]
    assert once.to_dict() == made(log, by="group").to_dict()


@pytest.mark.parametrize("is_ensemble", [False, True])
def test_streams_are_reported_on_like_frames(is_ensemble: bool) -> None:
    def report_of(log: Any, probs: Any) -> LogReport:
        return made(log, [probs] if is_ensemble else probs)

    log, probs = (frame.to_arrow().to_reader() for frame in (DATA.log, DATA.pred_probs))
    assert report_of(log, probs).to_dict() == report_of(DATA.log, DATA.pred_probs).to_dict()


def test_findings_say_their_number_and_what_to_do() -> None:
    row = made(DATA.log, DATA.pred_probs).findings.row(0, named=True)
    alpha = pc.krippendorff_alpha(DATA.log)["value"].item()
    assert row["value"] == pytest.approx(alpha, rel=1e-12)
    assert f"alpha is {alpha:.3f}" in row["says"]
    assert row["do"].endswith(".")


# --- one content, three formats --------------------------------------------------------------------


@pytest.fixture(scope="module")
def tutorial() -> LogReport:
    log = DATA.log.with_columns(third=pl.col("example").cast(pl.Int64) % 3)
    return made(log, DATA.pred_probs, truth=DATA.truth, by="third")


class Texts(HTMLParser):
    """What a page says, without its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.within = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.within = tag

    def handle_data(self, data: str) -> None:
        if self.within not in ("script", "style"):
            self.said.append(data)


def text_of(page: str) -> str:
    parser = Texts()
    parser.feed(page)
    return "".join(parser.said)


def cells_of(content: Content) -> list[str]:
    return [
        cell(value, is_number(column.name, column.dtype))
        for table in content.tables()
        for column in table.frame
        for value in column
    ]


def test_all_formats_hold_the_same_numbers(tutorial: LogReport) -> None:
    page, text = text_of(tutorial.text("html")), tutorial.text("md").replace("\\", "")
    found = json.loads(tutorial.text("json"))
    for finding in found["findings"]:
        assert finding["says"].replace("'", "") in re.sub("[`']", "", text)
        assert finding["says"].split(":")[0] in page
    for number in found["numbers"]:
        assert number["name"] in page
        assert number["name"] in text
    assert len(cells_of(tutorial.content)) > 500
    for said in cells_of(tutorial.content):
        assert said in page
        assert said in text
    rows = {table["key"]: table for section in found["sections"] for table in section["tables"]}
    for table in tutorial.content.tables():
        assert rows[table.key]["columns"] == table.frame.columns
        assert pl.DataFrame(rows[table.key]["rows"], orient="row").shape == table.frame.shape


def test_json_has_its_keys(tutorial: LogReport) -> None:
    found = json.loads(tutorial.text("json"))
    assert found == tutorial.to_dict()
    assert (found["format"], found["format_version"]) == ("polars-crowd report", 1)
    assert [*found] == [
        *("format", "format_version", "title", "about", "numbers", "findings", "sections")
    ]
    numbers = {number["key"]: number for number in found["numbers"]}
    alpha = pc.krippendorff_alpha(DATA.log).row(0, named=True)
    assert numbers["krippendorff_alpha"]["value"] == pytest.approx(alpha["value"], rel=1e-12)
    assert numbers["krippendorff_alpha"]["low"] == pytest.approx(alpha["ci_low"], rel=1e-12)
    assert numbers["accuracy"]["value"] == 288 / 296


def test_the_numbers_are_those_of_the_library(tutorial: LogReport) -> None:
    tables = {table.key: table.frame for table in tutorial.content.tables()}
    fit = pc.blend(DATA.log, DATA.pred_probs)
    examples = fit.examples.collect().sort("consensus_quality_score", "example").head(20)
    assert tables["least_certain"]["example"].to_list() == examples["example"].to_list()
    batch = pc.next_batch(pc.activelab(DATA.log, DATA.pred_probs).collect(), 20)
    assert tables["next"]["example"].to_list() == batch["example"].to_list()
    assert tables["consensus_quality"]["num_examples"].sum() == 296
    assert tables["labels_per_example"]["num_examples"].sum() == 296
    votes = tables["least_certain"].row(0, named=True)["votes"]
    chosen = DATA.log.filter(example=examples["example"][0])
    assert sum(map(int, re.findall(r"\((\d+)\):", votes))) == chosen.height


def test_a_store_has_the_report_of_its_log(tutorial: LogReport, tmp_path: Path) -> None:
    log = DATA.log.with_columns(third=pl.col("example").cast(pl.Int64) % 3)
    store = pc.AnnotationStore.create(tmp_path / "store", log, DATA.pred_probs, partitions=3)
    found, expected = made(store, truth=DATA.truth, by="third").to_dict(), tutorial.to_dict()
    for one in (found, expected):
        one["about"].pop("method")
        one["sections"].pop()  # how it was made
    assert rounded(found) == rounded(expected)


def rounded(value: Any) -> Any:
    """Without the last digits of sums in another order."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 9) if isinstance(value, float) else value


def test_the_fingerprint_goes_by_what_is_written() -> None:
    same = fingerprint(DATA.log.lazy())
    assert fingerprint(DATA.log.reverse().lazy()) == same
    assert (
        fingerprint(DATA.log.cast({"label": pl.String, "example": pl.Categorical}).lazy()) == same
    )
    other = DATA.log.with_columns(label=pl.col("label").reverse())
    assert fingerprint(other.lazy()) != same
    swapped = DATA.log.cast({"label": pl.String}).rename(
        {"example": "annotator", "annotator": "example"}
    )
    assert fingerprint(swapped.lazy()) != same


# --- files -----------------------------------------------------------------------------------------


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    for ending, begins in ((".html", "<!doctype html>"), (".md", "# Of labels"), (".json", "{")):
        found = pc.report(CLEAN, path=tmp_path / f"log{ending}", title="Of labels")
        assert found.path is not None
        assert found.path.read_text(encoding="utf-8").startswith(begins)
        assert str(found.path) in repr(found)
    pc.report(CLEAN, path=tmp_path / "log.txt", format="md")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "log.html",
        "log.json",
        "log.md",
        "log.txt",
    ]


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log.md"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        pc.report(CLEAN, path=path)
    assert path.read_text() == "mine"
    pc.report(CLEAN, path=path, overwrite=True)
    assert path.read_text().startswith("# Annotation report")


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_a_page_needs_the_extra_and_says_so_at_once(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageError, match=r'pip install "polars-crowd\[report\]"'):
        pc.report(CLEAN, path=tmp_path / "log.html")
    assert not [*tmp_path.iterdir()]
    pc.report(CLEAN, path=tmp_path / "log.md")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "log.txt"}, "it must end in one of .html"),
        ({"path": None, "format": "md"}, "path=None asks for none"),
        ({"path": None, "overwrite": True}, "path=None asks for none"),
        ({"path": None, "size": 0}, "size=0"),
        ({"path": None, "executor": object()}, "is for a store"),
    ],
)
def test_options_without_effect_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        pc.report(CLEAN, **options)


def test_what_is_no_class_is_refused() -> None:
    numbers = CLEAN.with_columns(label=pl.lit(0.5))
    sets = CLEAN.with_columns(label=pl.concat_list("label"))
    for log, said in ((numbers, "holds numbers"), (sets, "are sets of classes")):
        with pytest.raises(AnnotationError, match=said):
            pc.report(log, path=None)
    with pytest.raises(AnnotationError, match="'words'"):
        pc.report(CLEAN, text="words", path=None)
    with pytest.raises(OptionError, match="text='label'"):
        pc.report(CLEAN, text="label", path=None)


def test_a_page_shows_how_many_rows_are_left_out() -> None:
    found = made(DATA.log)
    cut = [table for table in found.content.tables() if table.more]
    page = found.text("html")
    assert cut
    for table in cut:
        total = table.frame.height + table.more
        assert f"The first {table.frame.height:,} of {total:,}." in page


def test_the_text_of_examples_is_shown() -> None:
    log = CLEAN.with_columns(words=pl.format("example no. {}", "example"))
    least = next(t for t in made(log, text="words").content.tables() if t.key == "least_certain")
    ids, texts = least.frame["example"], least.frame["text"]
    assert texts.to_list() == [f"example no. {id_}" for id_ in ids]


def test_sentences_hold_values_of_the_log_as_values() -> None:
    found = made(merged(CLEAN))
    finding = next(f for f in found.content.findings if f.key == "confused_classes")
    assert "'c1' from 'c2'" in plain(finding.says)
    assert "`c1` from `c2`" in found.text("md")
    assert "<code>c1</code>" in found.text("html")
