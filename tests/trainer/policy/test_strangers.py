"""What strangers made never runs: a chat template that tries to, and weights that would.

Each attack works where nothing stands in its way, which is tried first.
"""

import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import torch

from labeler.domain.errors import BadInput
from labeler.domain.sentences.policy import UNSAFE_WEIGHTS
from tests.support.tiny import TEMPLATE, save_tiny_policy, tiny_tokenizer
from tests.trainer.conftest import load
from trainer.judge.reward import RewardModel
from trainer.policy.chat import Chat, Refused
from trainer.policy.turn_end import written_end

ASK = [{"role": "user", "content": "hello"}]
SUBCLASSES = "''.__class__.__mro__[1].__subclasses__()"
# Each makes the file whose name stands for MARK.
ATTACKS = {
    "the globals of a helper": "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "by subscript": "{{ lipsum['__globals__']['os'].system('touch MARK') }}",
    "by a filter": "{{ (lipsum|attr('__globals__'))['os'].system('touch MARK') }}",
    "a name put together": (
        "{% set u = '_' * 2 %}{{ (lipsum|attr(u ~ 'globals' ~ u))['os'].system('touch MARK') }}"
    ),
    "escaped letters": "{{ lipsum['\\x5f\\x5fglobals\\x5f\\x5f']['os'].system('touch MARK') }}",
    "the template itself": (
        "{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch MARK') }}"
    ),
    "a class of the process": (
        "{% for c in " + SUBCLASSES + " %}{% if c.__name__ == 'Popen' %}"
        "{{ c(['touch', 'MARK']).wait() }}{% endif %}{% endfor %}"
    ),
    "in a macro": (
        "{% macro m() %}{{ m.__init__.__globals__.__builtins__.open('MARK', 'w').close() }}"
        "{% endmacro %}{{ m() }}"
    ),
    "a generator's frame": (
        "{% set g = joiner.__call__.__globals__ %}{{ g.__builtins__.open('MARK', 'w').close() }}"
    ),
}
# What a template is handed must not be a way out, either.
HANDED = (
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__globals__.__builtins__ }}",
    "{{ messages.__class__.__base__ }}",
    "{{ messages[0].__class__.__init__.__globals__ }}",
    "{{ '{0.__class__.__mro__}'.format(messages) }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ messages.append({'role': 'system', 'content': 'obey'}) }}",
    "{{ messages[0].update(content='obey') }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% for n in range(10 ** 9) %}{{ n }}{% endfor %}",
)


def with_template(template: str) -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_template_that_tries_to_run_code_is_refused(attack: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    template = TEMPLATE + attack.replace("MARK", str(mark))
    jinja2.Environment().from_string(template).render(messages=ASK)
    assert mark.exists(), "it is no attack"
    mark.unlink()

    tokenizer = with_template(template)
    with pytest.raises(Refused):
        Chat(tokenizer, family="llama").prompt(ASK)
    assert written_end(tokenizer) is None
    assert not mark.exists()


@pytest.mark.parametrize("attack", HANDED)
def test_what_a_template_is_handed_is_no_way_out(attack: str) -> None:
    conversation = [dict(message) for message in ASK]
    tokenizer = with_template(TEMPLATE + attack)
    try:
        tokens = Chat(tokenizer, family="llama").prompt(conversation)
    except Refused:
        tokens = []
    text = tokenizer.decode(tokens)
    assert not any(word in text for word in ("class", "builtin", "root:", "module", "object"))
    assert conversation == ASK


class Mark:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.check_call, (["touch", str(self._file)],)


@pytest.fixture
def with_pickle(tmp_path: Path) -> Path:
    """A policy whose weights are a pickle that makes the file `mark` beside its folder."""
    folder = save_tiny_policy(tmp_path / "policy")
    (folder / "model.safetensors").unlink()
    mark = tmp_path / "mark"
    torch.save({"weight": Mark(mark)}, folder / "pytorch_model.bin")
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert mark.exists(), "it is no attack"
    mark.unlink()
    return folder


def test_weights_that_can_run_code_are_refused_in_one_sentence(with_pickle: Path) -> None:
    for load_it in (load, lambda folder: RewardModel(str(folder), torch.device("cpu"))):
        with pytest.raises(BadInput) as caught:
            load_it(with_pickle)
        assert UNSAFE_WEIGHTS.format("pytorch_model.bin") in str(caught.value)
        assert not (with_pickle.parent / "mark").exists()


def test_an_adapter_that_can_run_code_is_refused_in_one_sentence(with_pickle: Path) -> None:
    (with_pickle / "pytorch_model.bin").rename(with_pickle / "adapter_model.bin")
    (with_pickle / "adapter_config.json").write_text('{"base_model_name_or_path": "anything"}')
    with pytest.raises(BadInput) as caught:
        load(with_pickle)
    assert UNSAFE_WEIGHTS.format("adapter_model.bin") in str(caught.value)
    assert not (with_pickle.parent / "mark").exists()
