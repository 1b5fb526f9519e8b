# make demo: one real experiment. make test: all checks. Both install what they need.

PYTHON_IN := .venv/bin/python
GUEST := $(PYTHON_IN) tests/in_guest.py --limit 40min
VIRTUAL_GUEST := $(GUEST) --virtual
# A failing test is rerun once and listed at the end: processors, clocks and ports are shared with other processes.
PYTEST := -m pytest -p no:cacheprovider --color=no --reruns 1 --rerun-show-tracebacks -rR
# What these import is slow in a guest, and makes each fork of a test slower.
GUEST_PYTEST := $(PYTEST) -p no:hypothesispytest
# Tests that do not depend on the kernel, start very many processes, or need the nftables that the distribution's guest
# kernel leaves out: run once, on chaoskit's own kernel, in three tiers that take about as long as each other, and in
# virtual time, where no other process keeps the processor from what a test measures.
INTERFACES := interface_stage soak
LEASES := access commands hostile_state inject inject_connections management mss_clamp watchdog
LABS := caller closings connection_table containers exec exec_files host_lookups host_programs network_namespaces \
	path_faults remedies spans_of_a_target tc_parse_against_tc visits
kernel_tests = $(1:%=tests/kernel/test_%.py)
# What of them every kernel can do, in real time.
ALSO := $(addprefix tests/kernel/test_interface_stage.py::test_,an_interface_that_vanishes_is_told \
	two_runs_at_once_are_one_too_many)
EITHER := $(filter-out $(call kernel_tests,$(INTERFACES) $(LEASES) $(LABS)),$(wildcard tests/kernel/test_*.py))
# Experiments with several hosts and real programs, and sweeps, take about as long as everything else in virtual time.
SERVICE := $(patsubst %,tests/virtual/test_%.py,host_programs intermediaries my_gateway own_gateway \
	service_experiments sweep tier_experiments timer_lint timers_by_both_clocks)
# Some tests write a journal thousands of times, with a disk write for each line.
MEMORY := $(firstword $(wildcard /dev/shm) /tmp)
# A drive collects garbage before it measures, and thousands of tests leave much; the first ones are drives.
ALONE := tests/unit/test_fuzz.py tests/unit/probe tests/unit/server
# make fuzz: seconds for each target, and the targets; all by default.
SECONDS ?= 60
TARGETS ?=
# What make quotes renews; without a name all that takes a few minutes.
QUOTES ?=

.PHONY: help modules demo test compiled soak fuzz lint format test-unit test-probe test-kernel test-guest test-virtual test-service \
	test-kernel-own test-labs test-leases test-interfaces kernel kernel-wheel package distributions bench coverage parity \
	attribution \
	docs reference quotes pins audit clean

help:  ## this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "%-17s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

modules:  ## every module of the package with the first sentence of its docstring
	@python3 tests/rules/modules.py

demo: .venv/.program  ## run one experiment: a chat stream under burst loss; a broken or undecided verdict is accepted
	@.venv/bin/chaoskit run experiments/loss-first-token.yaml; code=$$?; \
	echo "exit code $$code"; test $$code -le 1 -o $$code -eq 5

test: compiled .venv/.haystack kernel  ## run all tiers, and add up their results
	@$(PYTHON_IN) tests/tiers.py test-unit test-virtual test-service test-labs test-guest test-leases test-probe \
	test-kernel test-interfaces test-kernel-own lint  # the longest first; the first and the third share a processor

# A guest reads compiled files and cannot write them: what was changed since they were written, each start compiles.
compiled: .venv/.tests
	@$(PYTHON_IN) -m compileall -q chaoskit tests

lint: .venv/.tests  ## check style and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@$(PYTHON_IN) tests/check_types.py

format: .venv/.tests  ## format, and fix the style
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

test-unit: compiled  ## tests without privileges, network or guest; and the rules of the code
	@TMPDIR=$(MEMORY) $(PYTHON_IN) $(PYTEST) $(ALONE:%=--ignore=%) tests/unit tests/rules

test-probe: compiled  ## the rest of the unit tests: of the probe and the reference server, on loopback; fuzzing
	@TMPDIR=$(MEMORY) $(PYTHON_IN) $(PYTEST) $(ALONE)

test-kernel: compiled  ## tests against a real kernel: the distribution's guest kernel
	@$(GUEST) --kernel linux.uml $(PYTHON_IN) $(GUEST_PYTEST) $(EITHER) $(ALSO)

test-guest: compiled  ## tests of guests, and whole experiments in them
	@$(PYTHON_IN) $(PYTEST) tests/guest

test-virtual: compiled kernel  ## tests of what needs chaoskit's own kernel: virtual time, seeds
	@$(PYTHON_IN) $(PYTEST) $(SERVICE:%=--ignore=%) tests/virtual

test-service: compiled .venv/.haystack kernel  ## the rest of them: labs with several hosts, real programs, sweeps
	@$(PYTHON_IN) $(PYTEST) $(SERVICE)

test-kernel-own: compiled kernel  ## the same on chaoskit's own kernel
	@$(GUEST) $(PYTHON_IN) $(GUEST_PYTEST) $(EITHER)

test-labs: compiled kernel  ## tests on that kernel alone: commands and users' programs in labs, containers, connections
	@$(VIRTUAL_GUEST) $(PYTHON_IN) $(GUEST_PYTEST) $(call kernel_tests,$(LABS))

test-leases: compiled kernel  ## changes of real interfaces, and attacks on them
	@$(VIRTUAL_GUEST) $(PYTHON_IN) $(GUEST_PYTEST) $(call kernel_tests,$(LEASES))

test-interfaces: compiled kernel  ## experiments on real interfaces, and their end in every way
	@$(VIRTUAL_GUEST) $(PYTHON_IN) $(GUEST_PYTEST) $(call kernel_tests,$(INTERFACES))

kernel-wheel: .venv/.tests kernel  ## the guest kernel as a package for pip, in dist/: for machines without a compiler
	@$(PYTHON_IN) .ci/kernel-wheel/build

package: .venv/.tests .venv/.tools  ## chaoskit as a package for pip: a wheel and a source archive, in dist/
	@rm -f dist/chaoskit-*
	@$(PYTHON_IN) -P -m hatchling build --directory dist
	@.venv/tools/bin/twine check --strict dist/chaoskit-*

distributions: .venv/.tests kernel  ## install both packages in chroots of Debian 12 and 13, and run an experiment: root, debootstrap
	@.ci/distributions

kernel: .venv/.program  ## build the guest kernel, once: ten minutes, 2 GB of disk meanwhile
	@.venv/bin/chaoskit kernel status 2>/dev/null || \
	{ bash .ci/prepare kernel && .venv/bin/chaoskit kernel build; }

soak: .venv/.tests kernel  ## end real runs in every way, with at least 200 kill -9; exit 1 if anything is left behind
	@PYTHONPATH=tests $(PYTHON_IN) -m soak
	@PYTHONPATH=tests $(PYTHON_IN) -m soak.hosts virtual
	@$(GUEST) env PYTHONPATH=tests $(PYTHON_IN) -m soak.hosts here --count 12

fuzz: .venv/.tests  ## feed hostile input, SECONDS=60 for each target; exit 1, and keep the input, if anything fails
	@PYTHONPATH=tests $(PYTHON_IN) -m fuzz --seconds $(SECONDS) $(TARGETS)

bench: .venv/.tests kernel .venv/.tcconfig  ## measure speed and accuracy; prints figures, judges nothing
	@$(PYTHON_IN) tests/bench/startup.py
	@$(PYTHON_IN) tests/bench/probe_truth.py
	@$(PYTHON_IN) tests/bench/capture.py
	@$(PYTHON_IN) tests/bench/open_loop.py
	@$(PYTHON_IN) tests/bench/capacity.py --seconds 5
	@PYTHONPATH=tests $(PYTHON_IN) tests/bench/analysis.py
	@PYTHONPATH=tests $(PYTHON_IN) tests/bench/reports.py
	@PYTHONPATH=tests $(PYTHON_IN) tests/bench/html_page.py
	@$(GUEST) $(PYTHON_IN) tests/bench/apply_vs_tc.py
	@$(GUEST) $(PYTHON_IN) tests/bench/netem_truth.py
	@$(GUEST) env PYTHONPATH=tests $(PYTHON_IN) tests/bench/neighbours.py
	@$(GUEST) env PYTHONPATH=tests $(PYTHON_IN) tests/bench/steer_vs_tc.py
	@$(PYTHON_IN) tests/bench/virtual_time.py
	@$(PYTHON_IN) tests/bench/service_lab.py
	@$(PYTHON_IN) tests/bench/incident.py
	@PYTHONPATH=tests/unit/server $(PYTHON_IN) tests/bench/step_engine.py
	@$(PYTHON_IN) tests/bench/spans.py
	@$(PYTHON_IN) tests/bench/spread.py
	@$(PYTHON_IN) tests/bench/sweep.py
	@$(PYTHON_IN) tests/bench/limit.py
	@PYTHONPATH=tests $(PYTHON_IN) tests/bench/pmtu_vs_tracepath.py

coverage: .venv/.tests  ## simulate how often 95 % intervals hold the truth, and comparisons of runs err; prints tables, in minutes
	@nice -n 10 $(PYTHON_IN) tests/bench/coverage.py
	@OMP_NUM_THREADS=1 PYTHONPATH=tests nice -n 10 $(PYTHON_IN) tests/bench/limit_coverage.py
	@PYTHONPATH=tests nice -n 10 $(PYTHON_IN) tests/bench/compared_pairs.py

parity: .venv/.tests .venv/.parity  ## measure the same streams with chaoskit, AIPerf and GuideLLM; prints a table
	@$(PYTHON_IN) tests/bench/parity.py

attribution: .venv/.tests kernel  ## judge the causes of stalls where the truth is known; prints tables. QUICK=--quick: one seed
	@nice -n 10 $(PYTHON_IN) tests/bench/attribution.py $(QUICK)

docs: .venv/.docs  ## the pages of docs/ as a site in build/docs; 1 when a link is dead
	@.venv/docs/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml

reference: .venv/.tests  ## write the generated parts of README.md and docs/ anew
	@.venv/bin/cog -r -I docs/site README.md docs/*.md
	@$(PYTHON_IN) docs/site/picture.py

quotes: .venv/.tests kernel  ## renew the quoted output in the pages from real runs; QUOTES="soak fuzz bench parity" takes longer
	@$(PYTHON_IN) docs/site/quotes.py $(QUOTES)

pins: .venv/.tools  ## update the lock files from pyproject.toml; UPGRADE=--upgrade takes newer versions
	@UPGRADE=$(UPGRADE) bash .ci/pins

audit: .venv/.tools  ## write build/sbom-*.cdx.json, and check the locks for known vulnerabilities; exit 3 if no service answers
	@.venv/tools/bin/python .ci/audit

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.program .venv/.tests: .venv/.%: pyproject.toml .ci/lock-%.txt .ci/prepare
	@bash .ci/prepare $*

.venv/.tools .venv/.tcconfig .venv/.haystack .venv/.docs .venv/.parity: .venv/.%: .ci/lock-%.txt .ci/prepare | .venv/.program  # in their own .venv
	@bash .ci/prepare $*
