"""A user's function as judge: found in the working directory, and whatever it does is survived."""

import logging
import sys
from pathlib import Path

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.judging import Cause, Judgement, Question
from labeler.domain.judging import ask as ask_with_pauses
from labeler.domain.states import Choice
from trainer.judge.function import FunctionJudge
from trainer.worker.life import Stopped

ASK = [{"role": "user", "content": "hello"}]
CODE = """
import sys

not_callable = 3

def longer(prompt, first, second):
    return len(first) > len(second)

def share(prompt, first, second):
    return len(first) / (len(first) + len(second))

def silent(prompt, first, second):
    return None

def raises(prompt, first, second):
    raise RuntimeError("no idea\\nat all")

def leaves(prompt, first, second):
    sys.exit("I have had enough")

def says(prompt, first, second):
    return {"nan": float("nan"), "two": 2, "prose": "the first one", "text": "0.9"}[first]

def meddles(prompt, first, second):
    prompt.clear()
    return 1.0

def asks_a_friend(prompt, first, second):
    from {friend} import opinion
    return opinion
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working directory, of a name that no other test has imported."""
    name = "judge_of_" + tmp_path.name.replace("-", "_")
    (tmp_path / f"{name}.py").write_text(CODE.replace("{friend}", f"friend_of_{name}"))
    (tmp_path / f"friend_of_{name}.py").write_text("opinion = 0.7")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    return name


def ask(module: str, function: str, first: str = "tea", second: str = "good") -> Judgement:
    (said,) = FunctionJudge(f"py:{module}:{function}").judge([Question(ASK, first, second)])
    return said


def test_a_probability_is_taken_as_it_is(module: str) -> None:
    assert ask(module, "share", "a", "bcd").probability == 0.25


def test_there_is_a_pause_before_each_call_and_it_may_end_them(module: str) -> None:
    judge, paused = FunctionJudge(f"py:{module}:longer"), list[int]()
    questions = [Question(ASK, "longest", "good")] * 3

    def pause() -> None:
        paused.append(len(paused))
        if len(paused) > 4:
            raise Stopped

    assert ask_with_pauses(judge, questions, pause) == judge.judge(questions)
    assert len(paused) == 3
    with pytest.raises(Stopped):
        ask_with_pauses(judge, questions, pause)


def test_true_and_false_choose(module: str) -> None:
    assert ask(module, "longer").choice is Choice.B
    assert ask(module, "longer", "good", "tea").choice is Choice.A


def test_none_abstains(module: str) -> None:
    assert ask(module, "silent") == Judgement(None, Cause.UNCLEAR)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("nan", Cause.NOT_FINITE),
        ("two", Cause.ERROR),
        ("prose", Cause.ERROR),
        ("text", Cause.ERROR),
    ],
)
def test_what_is_no_probability_makes_no_verdict(module: str, said: str, cause: Cause) -> None:
    assert ask(module, "says", said) == Judgement(None, cause)


@pytest.mark.parametrize(("function", "words"), [("raises", "no idea"), ("leaves", "had enough")])
def test_what_it_raises_is_told_once_in_one_line(
    function: str, words: str, module: str, caplog: pytest.LogCaptureFixture
) -> None:
    judge = FunctionJudge(f"py:{module}:{function}")
    with caplog.at_level(logging.WARNING):
        said = judge.judge([Question(ASK, "tea", "good")] * 3)
    assert said == [Judgement(None, Cause.ERROR)] * 3
    (record,) = caplog.records
    assert words in record.message
    assert "at all" not in record.message


def test_it_may_import_its_neighbours_when_it_is_called(module: str) -> None:
    assert ask(module, "asks_a_friend").probability == 0.7


def test_it_cannot_change_the_question_of_others(module: str) -> None:
    question = Question([{"role": "user", "content": "hello"}], "tea", "good")
    FunctionJudge(f"py:{module}:meddles").judge([question])
    assert question.messages == ASK


def test_what_cannot_be_used_is_one_sentence(module: str) -> None:
    Path("broken_judge.py").write_text("1 / 0")
    Path("leaving_judge.py").write_text("import sys; sys.exit('not today')")
    for spec, reason in (
        ("py:nowhere_at_all:f", "No module named 'nowhere_at_all'"),
        (f"py:{module}:absent", "has no 'absent'"),
        (f"py:{module}:not_callable", "is no function"),
        ("py:broken_judge:f", "division by zero"),
        ("py:leaving_judge:f", "SystemExit: not today"),
    ):
        with pytest.raises(BadInput, match=reason) as caught:
            FunctionJudge(spec)
        assert "\n" not in str(caught.value)
