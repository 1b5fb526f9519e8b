# make demo: one real experiment. make test: everything that is checked. Both bring what they need.

PYTHON_IN := .venv/bin/python
GUEST := $(PYTHON_IN) tests/in_guest.py --limit 25min
# A test that fails is made once more, and named in the end: processors, clocks and ports are shared with others.
PYTEST := -m pytest -p no:cacheprovider --reruns 1 -rR
# What is about words, or about very many processes, and the same on every kernel: once is enough, on our own.
ONCE := commands tc_words soak path_faults remedies interface_stage mss_clamp guard inject
ON_ANY := $(patsubst %,--ignore=tests/kernel/test_%.py,$(ONCE))
# Some tests write a journal some thousand times, each line to the disk.
MEMORY := $(firstword $(wildcard /dev/shm) /tmp)
# Seconds that make fuzz has for each target, and which; all without a name.
SECONDS ?= 60
TARGETS ?=
# What make quotes renews; without a name all that takes a few minutes.
QUOTES ?=

.PHONY: demo test soak fuzz lint format test-unit test-kernel test-guest test-virtual test-kernel-own kernel bench \
	docs reference quotes pins audit clean

demo: .venv/.program  ## a chat stream under burst loss, to a verdict; broken and undecided are verdicts too
	@.venv/bin/chaoskit run experiments/loss-first-token.yaml; code=$$?; \
	echo "exit code $$code"; test $$code -le 1 -o $$code -eq 5

test: .venv/.tests kernel  ## all tiers, and their sum
	@$(PYTHON_IN) tests/tiers.py test-kernel-own test-virtual test-kernel test-guest test-unit lint

lint: .venv/.tests  ## style and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

format: .venv/.tests  ## put the style right
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

test-unit: .venv/.tests  ## without rights, network or guest; and the rules of the house
	@TMPDIR=$(MEMORY) $(PYTHON_IN) $(PYTEST) tests/unit tests/rules

test-kernel: .venv/.tests  ## against a real kernel: inside a guest, the distribution's
	@$(GUEST) --kernel linux.uml $(PYTHON_IN) $(PYTEST) $(ON_ANY) tests/kernel

test-guest: .venv/.tests  ## guests from outside, and whole experiments in them
	@$(PYTHON_IN) $(PYTEST) tests/guest

test-virtual: .venv/.tests kernel  ## what only our own kernel can do: virtual time, seeds
	@$(PYTHON_IN) $(PYTEST) tests/virtual

test-kernel-own: .venv/.tests kernel  ## the kernel tier again, on our own kernel
	@$(GUEST) $(PYTHON_IN) $(PYTEST) tests/kernel

kernel: .venv/.program  ## our own guest kernel, built once: ten minutes, 2 GB of disk meanwhile
	@.venv/bin/chaoskit kernel status 2>/dev/null || \
	{ bash .ci/prepare kernel && .venv/bin/chaoskit kernel build; }

soak: .venv/.tests kernel  ## at least 200 kill -9 and every other end of real runs; 1 when anything is left behind
	@PYTHONPATH=tests $(PYTHON_IN) -m soak

fuzz: .venv/.tests  ## input that nobody means well with, SECONDS=60 for each target; 1 when anything is found, and kept
	@PYTHONPATH=tests $(PYTHON_IN) -m fuzz --seconds $(SECONDS) $(TARGETS)

bench: .venv/.tests kernel .venv/.tcconfig  ## how fast and how true; printed, not judged
	@$(PYTHON_IN) tests/bench/startup.py
	@$(PYTHON_IN) tests/bench/probe_truth.py
	@$(PYTHON_IN) tests/bench/open_loop.py
	@$(GUEST) $(PYTHON_IN) tests/bench/apply_vs_tc.py
	@$(GUEST) $(PYTHON_IN) tests/bench/netem_truth.py
	@$(GUEST) env PYTHONPATH=tests $(PYTHON_IN) tests/bench/neighbours.py
	@$(GUEST) env PYTHONPATH=tests $(PYTHON_IN) tests/bench/steer_vs_tc.py
	@$(PYTHON_IN) tests/bench/virtual_time.py
	@$(PYTHON_IN) tests/bench/spread.py
	@PYTHONPATH=tests $(PYTHON_IN) tests/bench/pmtu_vs_tracepath.py

docs: .venv/.docs  ## the pages of docs/ as a site in build/docs; 1 when a link is dead
	@.venv/docs/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml

reference: .venv/.tests  ## write the generated parts of README.md and docs/ anew
	@.venv/bin/cog -r -I docs/site README.md docs/*.md
	@$(PYTHON_IN) docs/site/picture.py

quotes: .venv/.tests kernel  ## renew the quoted output in the pages from real runs; QUOTES="soak fuzz bench" takes longer
	@$(PYTHON_IN) docs/site/quotes.py $(QUOTES)

pins: .venv/.tools  ## write the locks anew from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@UPGRADE=$(UPGRADE) bash .ci/pins

audit: .venv/.tools  ## build/sbom-*.cdx.json, and known vulnerabilities of what is locked; 3 when nobody could be asked
	@.venv/tools/bin/python .ci/audit

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.program .venv/.tests: .venv/.%: pyproject.toml .ci/lock-%.txt .ci/prepare
	@bash .ci/prepare $*

.venv/.tools .venv/.tcconfig .venv/.docs: .venv/.%: .ci/lock-%.txt .ci/prepare | .venv/.program  # a .venv of their own
	@bash .ci/prepare $*
