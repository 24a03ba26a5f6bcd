"""Log-probabilities of pairs: packed rows where the architecture allows it, plain rows elsewhere.

Packed rows (`trainer.fast.layout`) compute each token of a pair once and nothing else, and put only
the places that predict response tokens through the LM head. That is right if layers mix tokens
nowhere but in an attention that goes through transformers' interface, and if the logits are the
head's. Whether this holds for a model is found out by trying: the first call compares both ways on
a few random tokens, and a policy on which they differ is computed in plain rows from then on.

All log-probabilities are at the policy's temperature: those of what people see. At another one they
would reward or punish sharper distributions along with the response: what is drawn at 0.6 is made
of likely tokens, so a longer response that loses would teach the policy to be less sure of every
token, and a longer one that wins to repeat itself. Log-probabilities for PPO are scaled so, too
(Huang et al. 2023, "The N implementation details of RLHF with PPO").
"""

import itertools
import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainer.fast.attention import pair_attention
from trainer.fast.head import Head, head_of
from trainer.fast.layout import FILL, PackedPairs, TokenPair, pack
from trainer.policy.batch import Batch, make_batch
from trainer.policy.policy import Policy

log = logging.getLogger(__name__)

PART_TOKENS = 1024  # computed at once where nothing is kept for a backward pass
TOLERANCE = {torch.float32: 2e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}  # of the result
LAYERS = {"full_attention", "sliding_attention"}  # kinds that `PairAttention` knows
# Of the largest logit: what padding breaks is off by far more, and wide models round more.
PADDING_TOLERANCE = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 5e-2}
PADDING_TRIAL = 20, 4  # tokens of the two prompts
PADDING_TRIAL_RESPONSE = 4
TRIAL = (5, 7, 4), (3, 2, 6)  # tokens of prompt, a and b in the pairs that are tried

Row = tuple[Sequence[int], Sequence[int]]  # tokens of a prompt and of a response


def pair_logps(policy: Policy, pairs: Sequence[TokenPair], *, fill: int = FILL) -> Tensor:
    """Summed log-probabilities of responses a and b under what is switched on, (B, 2), nats.

    Differentiable in the weights of an adapter that trains; then all pairs are computed at once, in
    a packed row that is filled up to a multiple of `fill` tokens.
    Raises ValueError if a prompt or a response has no tokens.
    """
    if policy.packs is None:
        policy.packs = _packs(policy)
    if torch.is_grad_enabled():
        return _packed(policy, pairs, fill) if policy.packs else _plain(policy, pairs)
    logps_B2 = torch.zeros(len(pairs), 2, device=policy.device)
    for part in parts_of(pairs, PART_TOKENS):
        some = [pairs[place] for place in part]
        logps_B2[part] = _packed(policy, some) if policy.packs else _plain(policy, some)
    return logps_B2


def row_logps(policy: Policy, rows: Sequence[Row]) -> Tensor:
    """As `pair_logps` for single rows, (R,), in plain rows.

    Rows are padded on the left only if the policy takes that.
    """
    if takes_padding(policy):
        return policy.logps(_batch(policy, rows))
    places = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
    grouped = itertools.groupby(places, key=lambda place: len(rows[place][0]))
    parts = [policy.logps(_batch(policy, [rows[place] for place in equal])) for _, equal in grouped]
    return torch.cat(parts)[torch.tensor(places, device=policy.device).argsort()]


def takes_padding(policy: Policy) -> bool:
    """Whether rows padded on the left give what each alone does: tried at the first call."""
    if policy.pads is None:
        policy.pads = _takes_padding(policy)
    return policy.pads


def logps_under(
    policy: Policy,
    adapter: str | None,
    pairs: Sequence[TokenPair],
    pause: Callable[[], None] | None = None,
) -> Tensor:
    """As `pair_logps`, under an adapter, or None for the reference; on the CPU, for no gradient.

    They are computed in parts of seconds; `pause` is called before each, and may switch adapters.
    """
    logps_B2 = torch.zeros(len(pairs), 2)
    for part in parts_of(pairs, PART_TOKENS):
        if pause is not None:
            pause()
        switched = policy.reference() if adapter is None else policy.adapter(adapter)
        with torch.no_grad(), switched:
            logps_B2[part] = pair_logps(policy, [pairs[place] for place in part]).cpu()
    return logps_B2


def response_logps(policy: Policy, pairs: Sequence[TokenPair]) -> Tensor:
    """Log-probability of each token of all responses under what is switched on, (T,), nats.

    For no gradient; the order is the same for the same pairs.
    """
    if policy.packs is None:
        policy.packs = _packs(policy)
    if policy.packs:
        packed = pack(pairs, policy.device)
        states = _packed_states(policy, packed)
        logps_T = _head(policy).token_logps(states, packed.targets)
        return logps_T[packed.owners < 2 * len(pairs)]
    rows = _rows(pairs)
    together = [rows] if takes_padding(policy) else [[row] for row in rows]
    batches = [_batch(policy, some) for some in together]
    return torch.cat([policy.token_logps(some)[some.response_mask.bool()] for some in batches])


def parts_of(pairs: Sequence[TokenPair], tokens: int) -> list[list[int]]:
    """Places of pairs that have at most so many tokens together, or of one pair that has more.

    The longest come first, each into the first part with room for it (first fit decreasing), so
    that nearly all parts are full, and thus of one size.
    """
    sizes = [sum(map(len, pair)) for pair in pairs]
    parts: list[list[int]] = []
    rooms: list[int] = []
    for place in sorted(range(len(pairs)), key=lambda place: -sizes[place]):
        part = next((n for n, room in enumerate(rooms) if room >= sizes[place]), len(parts))
        if part == len(parts):
            parts.append([])
            rooms.append(tokens)
        parts[part].append(place)
        rooms[part] -= sizes[place]
    return parts


def _packed(policy: Policy, pairs: Sequence[TokenPair], fill: int = FILL) -> Tensor:
    packed = pack(pairs, policy.device, fill=fill)
    hidden_TD = _packed_states(policy, packed)
    logps_T = _head(policy).token_logps(hidden_TD, packed.targets)
    return packed.summed(logps_T)


def _head(policy: Policy) -> Head:
    return head_of(policy.model.get_base_model(), policy.temperature, policy.products)


def _packed_states(policy: Policy, packed: PackedPairs) -> Tensor:
    """The last hidden states that predict the response tokens, (T, D)."""
    base = policy.model.get_base_model()
    with pair_attention(base):
        output = base.base_model(
            input_ids=packed.input_ids,
            position_ids=packed.position_ids,
            use_cache=False,
            packed=packed,
        )
    states: Tensor = output.last_hidden_state[0, packed.predicts]
    return states


def _plain(policy: Policy, pairs: Sequence[TokenPair]) -> Tensor:
    return row_logps(policy, _rows(pairs)).view(2, -1).T


def _plain_states(policy: Policy, pairs: Sequence[TokenPair]) -> Tensor:
    """As `_packed_states`, without what fills it up."""
    rows = _batch(policy, _rows(pairs))
    output = policy.model.get_base_model().base_model(
        input_ids=rows.input_ids,
        attention_mask=rows.attention_mask,
        position_ids=rows.position_ids,
        use_cache=False,
    )
    tokens = rows.response_ids.shape[1]
    states: Tensor = output.last_hidden_state[:, -tokens - 1 : -1][rows.response_mask.bool()]
    return states


def _rows(pairs: Sequence[TokenPair]) -> list[Row]:
    """The first responses of all pairs, then the second ones, each after its prompt."""
    if not all(map(all, (map(len, pair) for pair in pairs))):
        raise ValueError("a prompt or a response of a pair has no tokens")
    first = [(prompt, a) for prompt, a, _ in pairs]
    second = [(prompt, b) for prompt, _, b in pairs]
    return [*first, *second]


def _batch(policy: Policy, rows: Sequence[Row]) -> Batch:
    return make_batch(rows, pad=policy.pad_token_id, device=policy.device)


def _takes_padding(policy: Policy) -> bool:
    """Compare a short prompt beside a long one with the same alone; said in the log if they differ.

    By logits: log-probabilities hide what changes where a model is unsure of everything.
    """
    long, short = (list(range(2, 2 + size)) for size in PADDING_TRIAL)
    response = list(range(2, 2 + PADDING_TRIAL_RESPONSE))
    with torch.no_grad(), policy.reference():
        padded = policy.logits(_batch(policy, [(long, response), (short, response)]))[1]
        alone = policy.logits(_batch(policy, [(short, response)]))[0]
    difference = ((padded - alone).abs().max() / alone.abs().max()).item()
    if difference <= PADDING_TOLERANCE[policy.model.dtype]:
        return True
    log.warning(
        "Padding on the left changes what the policy '%s' computes, so rows with prompts of equal "
        "length are computed together, which is slower: they differ by %.1e of the result.",
        policy.name,
        difference,
    )
    return False


def _packs(policy: Policy) -> bool:
    """Whether packed rows give what plain rows do; said in the log if they do not."""
    if not takes_padding(policy):
        return False  # plain rows are no measure then
    draw = torch.Generator().manual_seed(0)
    words = len(policy.model.get_input_embeddings().weight)
    pieces = [
        torch.randint(words, (size,), generator=draw).tolist() for sizes in TRIAL for size in sizes
    ]
    pairs = list(zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True))
    try:
        with torch.no_grad(), policy.reference():
            difference = _difference(policy, pairs)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error)
    else:
        if difference <= TOLERANCE[policy.model.dtype]:
            return True
        reason = f"they differ by {difference:.1e} of the result"
    log.warning(
        "Packed rows do not fit the policy '%s', so it trains in plain rows, which are slower: %s.",
        policy.name,
        reason,
    )
    return False


def _difference(policy: Policy, pairs: Sequence[TokenPair]) -> float:
    """How far packed rows are from plain ones, by the largest value.

    Raises TypeError if it has layers whose reach the few tokens of a trial would not show. Hidden
    states show what a log-probability hides where a model is unsure of everything.
    """
    kinds = set(getattr(policy.model.config.get_text_config(), "layer_types", None) or LAYERS)
    if not kinds <= LAYERS:
        raise TypeError(f"it has layers of the kind {min(kinds - LAYERS)}")
    plain = _plain_states(policy, pairs)
    packed = _packed_states(policy, pack(pairs, policy.device))[: len(plain)]
    states = ((packed - plain).abs().max() / plain.abs().max()).item()
    logps = _plain(policy, pairs)
    return max(states, ((_packed(policy, pairs) - logps) / logps).abs().max().item())
