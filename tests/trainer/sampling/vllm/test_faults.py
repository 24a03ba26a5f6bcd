"""What happens when a vLLM server is away, wrong, or lacks what it needs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from labeler.domain.errors import BadInput, LivedpoError, SamplerError
from tests.support.tiny import save_tiny_policy
from tests.support.vllm_server import Server, vllm_server
from tests.trainer.conftest import SAMPLING, disturb, load
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response
from trainer.sampling.vllm.sampler import VllmSampler
from trainer.worker.candidate import write_candidate

BASE = Version(0, None)
PROMPTS = [[3, 20, 30, 0, 4], [3, 21, 0, 4], [3, 22, 31, 0, 4], [3, 0, 4]]


class Place:
    """A sampler beside servers, and what it told."""

    def __init__(
        self, policy: Policy, folder: Path, servers: list[Server], urls: list[str]
    ) -> None:
        self.policy, self.servers, self.urls = policy, servers, urls
        self.folder = folder
        self.told: list[str | None] = []
        self.sampler = VllmSampler(
            policy,
            urls,
            folder=folder / "vllm",
            versions=2,
            timeout_seconds=30,
            tell=self.told.append,
        )

    def version(self, number: int = 1, *, seed: int = 1, scale: float = 0.5) -> Version:
        """A new version, which the candidate adapter holds."""
        disturb(self.policy, CANDIDATE, seed=seed, scale=scale)
        return write_candidate(self.policy, number, self.folder / f"v{number:04d}")[0]

    def draw(self, version: Version = BASE, seed: int = 1) -> dict[int, tuple[Response, ...]]:
        return dict(self.sampler.sample(version, PROMPTS, SAMPLING, seed=seed))


@contextmanager
def place_of(policy: Policy, folder: Path, *servers: Server) -> Iterator[Place]:
    with ExitStack() as opened:
        urls = [opened.enter_context(vllm_server(server)) for server in servers]
        place = Place(policy, folder, list(servers), urls)
        opened.enter_context(closing(place.sampler))
        yield place


@pytest.fixture
def server(tiny_policy: Path) -> Server:
    return Server(load(tiny_policy), str(tiny_policy))


@pytest.fixture
def place(policy: Policy, tmp_path: Path, server: Server) -> Iterator[Place]:
    with place_of(policy, tmp_path, server) as made:
        yield made


@pytest.fixture
def two(policy: Policy, tmp_path: Path, server: Server, tiny_policy: Path) -> Iterator[Place]:
    with place_of(policy, tmp_path, server, Server(load(tiny_policy), str(tiny_policy))) as made:
        yield made


def test_a_server_that_serves_its_base_for_a_version_is_refused(place: Place) -> None:
    version, [server] = place.version(), place.servers
    server.ignores_adapters = True
    with pytest.raises(SamplerError, match="version 1, because it answers as the base does"):
        place.draw(version)
    assert server.adapters == {}
    assert len(place.draw()) == 4, "the base is drawn from still"
    server.ignores_adapters = False
    assert len(place.draw(version)) == 4
    assert place.told[-1] is None
    assert "#34186" in str(place.told[0])


def test_a_version_that_changes_nothing_may_look_like_the_base(place: Place) -> None:
    version = place.version(scale=0.0)
    place.servers[0].ignores_adapters = True
    assert len(place.draw(version)) == 4


def test_a_server_with_other_weights_of_a_version_is_refused(place: Place) -> None:
    version = place.version()
    other = place.folder / "elsewhere"
    disturb(place.policy, CANDIDATE, seed=2)
    write_candidate(place.policy, 1, other)
    disturb(place.policy, CANDIDATE, seed=1)
    load_adapter = place.servers[0]._switch

    def switch(name: str) -> str:
        place.servers[0].adapters[name] = str(other)
        return load_adapter(name)

    place.servers[0]._switch = switch  # type: ignore[method-assign]
    with pytest.raises(SamplerError, match=r"nats a token from the version's, where 0.001"):
        place.draw(version)


def test_a_server_that_dies_in_a_batch_costs_the_batch_and_an_alarm(place: Place) -> None:
    version, [server] = place.version(), place.servers
    place.draw(version)
    server.dies_after = 1
    with pytest.raises(SamplerError, match=r"The server http://127.* does not answer"):
        place.draw(version)
    with pytest.raises(SamplerError):
        place.draw(version)
    server.restart()
    assert len(place.draw(version)) == 4
    assert [told is None for told in place.told] == [True, False, True]
    first, again = server.loads()
    assert first != again, "a name stands for one load"


def test_the_prompts_of_a_server_that_dies_go_to_the_other(two: Place) -> None:
    two.servers[0].dies_after = 2  # the replies that check its base are four
    assert set(two.draw()) == {0, 1, 2, 3}
    assert two.urls[0] in str(two.told[-1])
    assert two.urls[1] not in str(two.told[-1])
    two.servers[0].restart()
    assert set(two.draw()) == {0, 1, 2, 3}
    assert two.told[-1] is None


def test_the_death_in_the_middle_is_met_too(two: Place) -> None:
    two.draw()
    two.servers[0].dies_after = 1
    assert set(two.draw()) == {0, 1, 2, 3}
    assert two.urls[0] in str(two.told[-1])


def test_of_two_servers_the_one_that_lacks_a_version_loads_it(two: Place) -> None:
    version = two.version()
    two.draw(version)
    first, second = two.servers
    first.restart()
    before = len(second.asked)
    assert set(two.draw(version)) == {0, 1, 2, 3}
    assert len(first.loads()) == 2
    assert [path for path, _ in second.asked[before:]].count("/v1/load_lora_adapter") == 0
    assert two.told == [None]


def test_of_two_servers_the_one_that_cannot_load_a_version_is_left_out(two: Place) -> None:
    version = two.version()
    two.servers[0].max_rank = 1
    asked = len(two.servers[0].drawn())
    two.draw(version)
    checks = [body for body in two.servers[0].drawn()[asked:] if body["n"] == 2]
    assert checks == []
    assert "of rank 4, that of version 1; start it with --max-lora-rank 8" in str(two.told[-1])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"max_rank": 1}, "start it with --max-lora-rank 8, or lower --lora-rank"),
        ({"loads_at_run_time": False}, "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
        ({"blind": True}, "does not see the folder .*; mount the data dir there"),
        ({"token_ids": False}, "is too old: it gives no token ids"),
        ({"max_model_len": 16}, "takes 16 tokens of prompt and reply, and 17 are needed"),
        ({"eos": list(range(320))}, "start it with --generation-config vllm"),
    ],
)
def test_what_a_server_lacks_is_said_with_what_mends_it(
    place: Place, fault: dict[str, object], sentence: str
) -> None:
    version, [server] = place.version(), place.servers
    for name, value in fault.items():
        setattr(server, name, value)
    with pytest.raises(SamplerError, match=sentence):
        place.draw(version)


def test_a_server_that_finds_adapters_by_name_needs_no_path(place: Place) -> None:
    """As with vLLM's filesystem resolver: it names the base to the letter as the server does."""
    version, [server] = place.version(), place.servers
    server.blind = server.resolves = True
    server.adapters_dir = lambda name: str(place.folder / "vllm" / name)  # type: ignore[method-assign]
    assert len(place.draw(version)) == 4
    [folder] = (place.folder / "vllm").glob("livedpo-*-v1-*")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == server.root


def test_a_server_of_another_base_is_refused_at_once(
    policy: Policy, tmp_path: Path, server: Server
) -> None:
    other = save_tiny_policy(tmp_path / "other", "qwen2")
    with place_of(policy, tmp_path, Server(load(other), str(other))) as place:
        with pytest.raises(BadInput, match=r"has another base: it serves .*other, and the policy"):
            place.sampler.start()
        place.servers[0] = server


def test_a_server_that_comes_back_with_another_base_is_found_out(
    place: Place, tmp_path: Path
) -> None:
    version, [server] = place.version(), place.servers
    place.draw(version)
    server.policy = load(save_tiny_policy(tmp_path / "other", "qwen2"))
    server.__post_init__()
    with pytest.raises(SamplerError, match="does not draw from version 0 any more"):
        place.draw()
    with pytest.raises(SamplerError, match="has another base"):
        place.draw()


def test_a_server_that_is_not_there_at_the_start_is_wrong_use(
    policy: Policy, tmp_path: Path
) -> None:
    with place_of(policy, tmp_path) as place, vllm_server(Server(policy, "x")) as url:
        pass
    place.sampler = VllmSampler(
        policy, [url], folder=tmp_path / "vllm", versions=3, timeout_seconds=5, tell=print
    )
    with closing(place.sampler), pytest.raises(BadInput, match=f"The server {url} does not answer"):
        place.sampler.start()


@pytest.mark.parametrize(("key", "words"), [("use_dora", "DoRA"), ("modules_to_save", "in full")])
def test_adapters_that_vllm_does_not_compute_are_refused(
    place: Place, key: str, words: str
) -> None:
    version = place.version()
    assert version.folder is not None
    config = version.folder / "adapter_config.json"
    values = json.loads(config.read_text()) | {key: ["lm_head"]}
    config.write_text(json.dumps(values))
    manifest = version.folder / "manifest.json"
    kept = json.loads(manifest.read_text())
    kept["files"].pop("adapter_config.json")
    manifest.write_text(json.dumps(kept))
    with pytest.raises(LivedpoError, match=f"its adapter has .*{words}"):
        place.draw(version)
    assert place.servers[0].loads() == []


def test_a_key_goes_to_the_server_and_nowhere_else(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.servers[0].key = "sesame-opens"
    with pytest.raises(SamplerError, match="answers with 401"):
        place.draw()
    monkeypatch.setenv("VLLM_API_KEY", "sesame-opens")
    caplog.set_level("DEBUG")
    assert len(place.draw()) == 4
    assert "sesame" not in caplog.text + str(place.told)
