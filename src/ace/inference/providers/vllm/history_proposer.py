"""Guesses the next tokens from what this engine wrote before: speculation for answers that resemble each other.

The answers of a role have one skeleton (keys of JSON, turns of phrase), and a retry says most of the last try again. So
what followed the last 8, 4, 2 or 1 tokens in earlier answers is a good guess of what follows them now; the longest of
these contexts that is known counts, as in prediction by partial matching (Cleary and Witten, 1984). A guess goes on as
long as all of it is right three times out of four, so that few tokens are checked in vain. SuffixDecoding (arXiv
2411.04975) keeps suffix trees for the same purpose; these tables are simpler, forget what is out of date, and need no
compiled package. vLLM loads this class by its name, in its own process where it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

ORDERS = (8, 4, 2, 1)
"""Lengths of the contexts, the longest first."""

SURE = 0.75
"""How likely all of a guess must be right, by what was counted. With less, a batch of 16 on a CPU loses more by
checking in vain than it saves in steps; at batch 1 anything from 0.6 to 0.8 does."""

MOST_WEIGHT = 16
"""What was seen oftener counts no more than this, so that a change is soon believed."""

MOST_CONTEXTS = 200_000
"""About 60 MB. With one more everything is forgotten, which a few answers make good."""


@dataclass(slots=True)
class Follower:
    """The token that mostly followed a context, its weight, and the weight of all others."""

    token: int
    weight: int = 1
    others: int = 0

    def see(self, token: int) -> None:
        """Count `token`. One that outweighs the follower one takes its place (Boyer and Moore's majority vote)."""
        if token == self.token:
            self.weight = min(self.weight + 1, MOST_WEIGHT)
            return
        self.others = min(self.others + 1, MOST_WEIGHT)
        self.weight -= 1
        if not self.weight:
            self.token, self.weight, self.others = token, 1, 1


class History:
    """Followers of each context of tokens in the learned texts."""

    def __init__(self, most: int = MOST_CONTEXTS) -> None:
        self._most = most
        self._followers: dict[tuple[int, ...], Follower] = {}

    def __len__(self) -> int:
        return len(self._followers)

    def learn(self, ids: Sequence[int], new: int) -> None:
        """Take the last `new` tokens of `ids` as what was written after those before them."""
        if len(self._followers) > self._most:
            self._followers.clear()
        for end in range(len(ids) - new, len(ids)):
            for order in ORDERS:
                if order <= end:
                    self._see(tuple(ids[end - order : end]), ids[end])

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        """Guess the tokens after `ids`: at most `most`, none where nothing is likely enough."""
        tail = list(ids[-ORDERS[0] :])
        guessed: list[int] = []
        sure = 1.0
        while len(guessed) < most and (follower := self._follower(tail)) is not None:
            sure *= follower.weight / (follower.weight + follower.others)
            if sure < SURE:
                break
            guessed.append(follower.token)
            tail.append(follower.token)
        return guessed

    def _see(self, context: tuple[int, ...], token: int) -> None:
        follower = self._followers.get(context)
        if follower is None:
            self._followers[context] = Follower(token)
        else:
            follower.see(token)

    def _follower(self, tail: Sequence[int]) -> Follower | None:
        for order in ORDERS:
            if order <= len(tail) and (follower := self._followers.get(tuple(tail[-order:]))) is not None:
                return follower
        return None


class Ids(Protocol):
    """Token ids of one request: an array of one dimension, longer than what is filled."""

    def __getitem__(self, part: slice) -> Ids: ...

    def tolist(self) -> list[int]: ...


class HistoryProposer:
    """Proposer for vLLM's method `custom_class`, one for each engine."""

    def __init__(self, vllm_config: Any) -> None:
        self._most: int = vllm_config.speculative_config.num_speculative_tokens
        self._room: int = vllm_config.model_config.max_model_len
        self._history = History()

    def propose(
        self, sampled: Sequence[Sequence[int]], lengths: Sequence[int], ids: Sequence[Ids], **_: object
    ) -> list[list[int]]:
        """Guesses for each request of a batch.

        `sampled` has the tokens that this step wrote, none where a prompt is not computed to its end; `ids` all of a
        request's tokens with those, and `lengths` how many they are.
        """
        return [
            self._of_request(int(length), row, len(new)) if new else []
            for new, length, row in zip(sampled, lengths, ids, strict=False)
        ]

    def _of_request(self, length: int, ids: Ids, new: int) -> list[int]:
        tail = ids[max(0, length - new - ORDERS[0]) : length].tolist()
        self._history.learn(tail, new)
        return self._history.guess(tail, min(self._most, self._room - length - 1))

    def load_model(self, *_: object, **__: object) -> None:
        """VLLM calls it at the start; there is no model."""
