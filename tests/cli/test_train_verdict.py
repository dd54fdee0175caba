"""The words of a verdict."""

from dataclasses import replace
from pathlib import Path

import pytest

from cgrseg.advisor.active_learning import Candidate, Ranking
from cgrseg.advisor.verdict import ClassVerdict, Verdict
from cgrseg.cli.train_display import COURSES, NEEDS, classes, next_labels, summary, worst

SKY = ClassVerdict(name="sky", iou=0.9, images=100, pixels=900, confused_with="road", need="")
CAR = ClassVerdict(name="car", iou=0.4, images=9, pixels=100, confused_with="road", need="rare")
VERDICT = Verdict(
    weights=Path("runs/x/best.safetensors"),
    split="holdout",
    learnt=80,
    scored=20,
    leaked=0,
    looks=7,
    miou=0.65,
    miou_interval=(0.6, 0.71),
    classes=(SKY, CAR),
    course="stopped",
    best_step=300,
    last_step=700,
    steps=1000,
    worst=(("a", 0.2), ("b", 0.31)),
    ranking=None,
)


def test_the_summary_tells_the_score_and_how_far_to_trust_it():
    told = list(summary(VERDICT))

    assert told[0] == "VERDICT: mIoU 65.0 % on 20 images that it did not learn from (holdout)"
    assert "60.0 % to 71.0 %" in told[1]
    assert "rough" in told[1]
    assert "best of 7 scorings" in told[2]
    assert told[3].endswith("It stopped at step 700 of 1,000, since the score got no better after step 300.")


def test_the_summary_tells_what_flatters_and_what_is_not_known():
    told = list(summary(replace(VERDICT, leaked=5, looks=1, course="once")))

    assert told[0].endswith("but the weights that it started from had learnt 5 of them: the score flatters")
    assert "scorings" not in " ".join(told)
    assert told[-1].endswith("whether more steps help is not known.")


def test_with_many_images_the_score_is_not_called_rough():
    assert "rough" not in " ".join(summary(replace(VERDICT, scored=200)))


@pytest.mark.parametrize("course", COURSES)
def test_each_course_has_its_sentence(course):
    *_, last = summary(replace(VERDICT, course=course))

    assert last.endswith((".", "train.steps=2000"))
    assert "{" not in last


def test_the_worst_class_comes_first_with_what_to_do():
    table = classes(VERDICT)

    assert list(table.columns[0].cells) == ["car", "sky"]
    assert list(table.columns[1].cells) == ["40.0 %", "90.0 %"]
    assert list(table.columns[5].cells) == [NEEDS["rare"], ""]


def test_classes_that_need_labels_are_named_with_the_rule():
    images, needs = worst(VERDICT)

    assert images.endswith("a (20.0 %), b (31.0 %)")
    assert needs.startswith("More labels are needed for car. The rule: IoU under 50.0 %")
    assert "No class asks" in list(worst(replace(VERDICT, classes=(SKY,))))[1]


def test_without_other_images_the_command_that_ranks_them_is_told():
    assert (
        list(next_labels(VERDICT, "cgrseg train --resume"))[-1].strip() == "cgrseg train --resume --unlabelled FOLDER"
    )


def test_the_images_to_label_are_listed_in_order():
    ranking = Ranking((Candidate(Path("u/a.jpg"), 0.314, ("car", "sky")),), images=5, alike=2, unreadable=("bad",))

    told = list(next_labels(replace(VERDICT, ranking=ranking), ""))

    assert "1 of 5 images without labels; 2 passed over as look-alikes" in told[0]
    assert told[1].endswith("u/a.jpg  unsure of 31%, mostly car and sky")
    assert "cannot be read: bad" in told[2]
