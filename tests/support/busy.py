"""A store that looks like that of a service which people and a judge have used for some days."""

import math
import random
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding, Responses
from labeler.store.database import Database
from labeler.store.tables import (
    Lease,
    LiveChange,
    Pair,
    PolicyVersion,
    ProcessState,
    Prompt,
    Rater,
    Update,
    UpdateLabel,
    Verdict,
    Vote,
)

JUDGE = "rm:Skywork/Skywork-Reward-V2-Qwen3-0.6B"
RATERS = ("Ada Lindqvist", "Bilal Rahmani", "Chiara Conti", "Dmitri Sokolov")
TOPICS = (
    ("How do I remove a red wine stain from a wool carpet?", "blot it, then use cold water"),
    ("Explain what a hash table is to a ten-year-old.", "a row of numbered drawers"),
    ("Write a short, polite reminder that rent is due.", "a friendly note with the date"),
    ("What should I check before buying a used bicycle?", "frame, brakes, chain and wheels"),
    ("Sort a list of dictionaries by two keys in Python.", "`sorted(rows, key=lambda r: r[0])`"),
    ("Why is the sky red at sunset?", "the light has a longer way through the air"),
    ("كيف أحضّر الشاي بالنعناع؟", "ضع النعناع في ماء ساخن"),
    ("Give me three names for a small bakery in Lisbon.", "Pão & Cia, A Fornada, Trigo"),
)
PER_UPDATE = 32


def fill_busy(database: Database, *, votes: int = 480, days: float = 5.0, now: float) -> None:
    """Pairs, votes, verdicts, updates and versions, spread over the last days. Always the same."""
    rng = random.Random(7)
    rows = _Rows(votes, now - days * 86_400, now, rng)
    with database.write() as session:
        people = session.execute(sa.select(sa.func.max(col(Rater.id)))).scalar() or 0
        rows.shift = people
        retired = sa.update(PolicyVersion).values(state="retired")
        session.execute(retired)
        for table, found in rows.made().items():
            if found:
                session.execute(sa.insert(table), found)


class _Rows:
    """The rows of all tables as dicts, in the order in which they may be inserted."""

    def __init__(self, votes: int, start: float, now: float, rng: random.Random) -> None:
        self.votes, self.start, self.now, self.rng = votes, start, now, rng
        self.shift = 0

    def made(self) -> dict[Any, list[dict[str, Any]]]:
        updates = self.votes // PER_UPDATE
        pairs, leases, votes, verdicts, listed = [], [], [], [], []
        for number in range(self.votes + 18):
            pair = self._pair(number + 1, updates)
            pairs.append(pair)
            if number < self.votes:
                lease, vote = self._vote(pair, number, updates)
                leases += [lease] if lease else []
                votes.append(vote)
                if vote["used_in_update"]:
                    listed.append(
                        {"update_id": vote["used_in_update"], "vote_id": vote["id"]}
                        | {"role": "train"}
                    )
            if number % 3 == 0 or (number < self.votes and votes[-1]["source"] == "judge"):
                verdicts.append(self._verdict(pair, votes[-1], updates))
        return {
            Rater: self._raters(),
            PolicyVersion: self._versions(updates),
            LiveChange: [
                {"version_id": n, "at": self._opened(n, updates) + 45}
                for n in range(1, updates + 1)
                if not _is_rejected(n)
            ],
            Update: self._updates(updates),
            Prompt: self._prompts(),
            Pair: pairs,
            Lease: leases,
            Vote: votes,
            UpdateLabel: listed,
            Verdict: verdicts,
            ProcessState: self._roles(),
        }

    def _when(self, share: float) -> float:
        """People rate in the day and rest at night; the last hour is a busy one."""
        at = self.start + share * (self.now - self.start)
        return at - 3600 * 4 * (0.5 + 0.5 * math.sin(at / 86_400 * 2 * math.pi)) * (1 - share)

    def _opened(self, update: int, updates: int) -> float:
        return self._when(update / (updates + 0.4))

    def _raters(self) -> list[dict[str, Any]]:
        people = [{"name": name, "role": "rater", "created_at": self.start} for name in RATERS]
        return [
            {"id": self.shift + n, **row}
            for n, row in enumerate(
                [*people, {"name": JUDGE, "role": "judge", "created_at": self.start}], start=1
            )
        ]

    def _prompts(self) -> list[dict[str, Any]]:
        return [
            {"messages": [{"role": "user", "content": text}], "digest": text}
            | {"created_at": self.start, "pairs_sampled": 9, "id": 1000 + n, "pooled": True}
            for n, (text, _) in enumerate(TOPICS)
        ]

    def _pair(self, number: int, updates: int) -> dict[str, Any]:
        _, answer = TOPICS[number % len(TOPICS)]
        long = "Here is how.\n\n1. First, " + answer + ".\n2. Then wait.\n\n**That is all.**"
        a, b = (long, f"Try this: {answer}.") if number % 2 else (f"{answer}.", long)
        version = _last_good(min(updates, number // PER_UPDATE))
        state = "labelled" if number <= self.votes else "ready"
        aside = number % 97 == 13 and number <= self.votes
        return {
            "id": number,
            "prompt_id": 1000 + number % len(TOPICS),
            "version_id": version,
            "state": state,
            "votes_wanted": 1,
            "response_a": a,
            "response_b": b,
            "prompt_tokens": [1, 2, 3],
            "tokens_a": [4] * (9 + number % 13),
            "tokens_b": [5] * (8 + number % 17),
            "finish_a": "stop",
            "finish_b": "length" if number % 11 == 0 else "stop",
            "reference_logp_a": -21.5,
            "reference_logp_b": -25.25,
            "logp_a": -20.0,
            "logp_b": -24.0,
            "double": number % 10 == 0,
            "purpose": "loop",
            "needs_tokens": False,
            "sampling": {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 96, "seed": number},
            "created_at": self._when(max(0.0, number / (self.votes + 18) - 0.01)),
            "aside_at": self.now - 7200 if aside else None,
            "aside_by": self.shift + 1 if aside else None,
            "aside_reason": "The prompt names a customer." if aside else None,
        }

    def _vote(
        self, pair: dict[str, Any], number: int, updates: int
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        rng = self.rng
        judged = rng.random() < 0.25
        rater = self.shift + (len(RATERS) + 1 if judged else 1 + int(rng.random() ** 1.5 * 4))
        at = self._when((number + rng.random()) / self.votes)
        choice = rng.choices(["a", "b", "tie", "both_bad", "skip"], [44, 38, 9, 5, 4])[0]
        choice = "a" if judged and choice == "skip" else choice
        update = number // PER_UPDATE + 1
        update += _is_rejected(update)  # the labels that it gave back train the next one
        used = update <= updates and choice in ("a", "b")
        seconds = None if judged else round(0.4 + rng.lognormvariate(2.1 - number * 3e-6, 0.7), 2)
        vote = {
            "id": f"vote-{number}",
            "pair_id": pair["id"],
            "rater_id": rater,
            "lease_id": None if judged else f"lease-{number}",
            "choice": choice,
            "strength": 2 if choice in ("a", "b") and rng.random() < 0.2 else 1,
            "shown_left": "a" if judged else rng.choice("ab"),
            "source": "judge" if judged else "human",
            "staleness": 0,
            "seconds": seconds,
            "reasons": rng.sample(["correct", "clear", "concise"], 1) if number % 5 == 0 else [],
            "comment": "The steps are in the wrong order." if number % 29 == 0 else None,
            "created_at": at,
            "superseded_by": f"undo-{number}" if number % 41 == 7 and not used else None,
            "used_in_update": update if used else None,
        }
        if judged:
            return None, vote
        lease = {
            "id": vote["lease_id"],
            "pair_id": pair["id"],
            "rater_id": rater,
            "holder": f"tab-{rater}",
            "slot": 0,
            "shown_left": vote["shown_left"],
            "leased_at": at - (seconds or 0),
            "expires_at": at + 1800,
            "ended_at": at,
        }
        return lease, vote

    def _verdict(self, pair: dict[str, Any], vote: dict[str, Any], updates: int) -> dict[str, Any]:
        better = 0.2 + 1.4 * (1 - math.exp(-pair["version_id"] / 6))
        mine = vote["source"] == "judge" and vote["pair_id"] == pair["id"]
        sure = 0.62 + 0.3 * self.rng.random()
        likes_a = vote["choice"] == "a" if self.rng.random() < 0.8 else self.rng.random() < 0.5
        return {
            "pair_id": pair["id"],
            "judge": JUDGE,
            "probability": sure if likes_a else 1 - sure,
            "score_a": better + self.rng.gauss(0, 0.6),
            "score_b": better + self.rng.gauss(0, 0.6),
            "requests": 0,
            "tokens": 0,
            "vote_id": vote["id"] if mine else None,
            "created_at": pair["created_at"] + 20,
        }

    def _finding(self, number: int) -> Finding:
        rate = 0.5 + 0.13 * math.sin(number * 1.7) + (-0.2 if _is_rejected(number) else 0.06)
        return Finding(
            labels=PER_UPDATE,
            judged=8,
            held_out=6,
            learning_rate=5e-4,
            seconds=31.0 + number % 7,
            kl_live=0.03 + 0.01 * (number % 4) + (0.31 if _is_rejected(number) else 0.0),
            kl_reference=round(0.9 * (1 - math.exp(-number / 8)), 4),
            live=Responses(tokens=22.0),
            candidate=Responses(tokens=22 + 5 * math.sin(number / 2)),
            win_rate=Estimate(rate, rate - 0.14, rate + 0.13, 16),
            agreement_live=Estimate.rate(0.61, 28),
            agreement_candidate=Estimate.rate(0.68, 28),
        )

    def _versions(self, updates: int) -> list[dict[str, Any]]:
        live = _last_good(updates)
        return [
            {
                "id": number,
                "parent_id": _last_good(number - 1),
                "state": "rejected"
                if _is_rejected(number)
                else "live"
                if number == live
                else "retired",
                "folder": f"v{number:04d}",
                "sha256": "0" * 64,
                "finding": self._finding(number),
                "created_at": self._opened(number, updates) + 40,
                "live_at": None if _is_rejected(number) else self._opened(number, updates) + 45,
                "kept": False,
            }
            for number in range(1, updates + 1)
        ]

    def _updates(self, updates: int) -> list[dict[str, Any]]:
        return [
            {
                "id": number,
                "mode": "streaming",
                "state": "rejected" if _is_rejected(number) else "promoted",
                "opened_at": self._opened(number, updates),
                "attempt": 1,
                "steps_done": 8,
                "steps_total": 8,
                "version_id": number,
                "finding": self._finding(number),
                "reason": "it moved 0.34 nats a token from version 3, more than 0.3"
                if _is_rejected(number)
                else None,
                "finished_at": self._opened(number, updates) + 45,
            }
            for number in range(1, updates + 1)
        ]

    def _roles(self) -> list[dict[str, Any]]:
        says = {
            "worker": "Waiting for labels.",
            "scheduler": "Watching for due updates.",
            "web": "Serving http://127.0.0.1:7860.",
        }
        return [{"name": name, "says": text, "beat_at": self.now} for name, text in says.items()]


def _is_rejected(number: int) -> bool:
    return number % 5 == 4


def _last_good(number: int) -> int:
    return number - 1 if number > 0 and _is_rejected(number) else max(0, number)
