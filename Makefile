# Needs python3 >= 3.11 with pip. Packages are installed into .venv: from requirements.lock for
# running, from requirements-dev.lock also for tests and checks.
PYTHON ?= python3
BIN := .venv/bin
# Processes of pytest. Tests mostly wait, so there may be more processes than cores.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest
NEW_ENOUGH := $(PYTHON) -c 'import sys; sys.exit("Rollcall needs Python 3.11 or newer; set PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 --custom-compile-command "make lock"

.PHONY: install install-dev run demo test gate-slow check format schema lock migration
.PHONY: bench-lists bench-delivery
.PHONY: bench bench-alerts bench-quick bench-scale bench-subscribers bench-cold-fleet
.PHONY: soak-live soak-mqtt soak-mosquitto soak-alerts soak-freezes fuzz web web-check screenshot clean

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: requirements.lock pyproject.toml
	@$(NEW_ENOUGH)
	@$(PYTHON) scripts/install.py requirements.lock
	@touch $@

.venv/installed-dev: requirements-dev.lock pyproject.toml
	@$(NEW_ENOUGH)
	@$(PYTHON) scripts/install.py requirements-dev.lock
	@touch .venv/installed $@

run: install
	$(BIN)/rollcall serve

# Starts a server with its broker and a dozen simulated devices.
demo: install
	$(BIN)/python -m demo

# Tests that measure time run alone, after the others, even if others failed.
test: install-dev
	@status=0; \
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone and not slow" || status=1; \
	$(PYTEST) -m "alone and not slow" || status=1; \
	exit $$status

# Tests marked `slow` and the long runs, which take too long for `make test`.
gate-slow: install-dev
	@status=0; \
	$(PYTEST) -m slow || test $$? -eq 5 || status=1; \
	$(MAKE) --keep-going soak-live soak-mqtt soak-mosquitto soak-alerts soak-freezes || status=1; \
	$(MAKE) fuzz MESSAGES=100000 || status=1; \
	exit $$status

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy esp_client
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_schema.py
	$(BIN)/python scripts/check_words.py
	$(BIN)/rollcall migrate --check

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Writes schema.graphql; `make check` compares it.
schema: install-dev
	$(BIN)/python scripts/check_schema.py --write

# Pins the newest versions that pyproject.toml allows, the same in both locks.
lock: install-dev
	$(COMPILE) --upgrade --extra dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --upgrade --extra build --extra otel --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

# make migration NAME="what changes"
migration: install-dev
	$(BIN)/rollcall migrate --write "$(NAME)"

# Builds the pages from web/ into server/endpoints/assets; needs npm. The result is committed.
web:
	cd web && npm ci --ignore-scripts --no-fund --no-audit && node build.mjs ../server/endpoints/assets

# Builds the pages in a temporary folder and compares them with the committed files.
web-check: install-dev
	$(PYTEST) tests/web

# Creates docs/graphiql.png again; needs npm and chromium.
screenshot: install-dev
	SCREENSHOT="$(CURDIR)/docs/graphiql.png" $(PYTEST) tests/browser -k fleet

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

# 200 subscribers of 5,000 changes through two servers, with random disconnections.
soak-live: install-dev
	$(BIN)/python -m bench.follow

# Kills the server and the broker while 1,000 configs change. Needs mosquitto.
soak-mqtt: install-dev
	$(BIN)/python -m bench.outages

# 500 new devices at a Mosquitto that is reloaded and killed, and the cost of 50,000 accounts.
soak-mosquitto: install-dev
	$(BIN)/python -m bench.newcomers

# Kills the server 200 times during 2,000 events, while a fake Telegram fails.
soak-alerts: install-dev
	$(BIN)/python -m bench.alerts

# Restarts two servers 20 times while PostgreSQL, the broker or a fake Telegram is frozen: about six
# minutes. Needs mosquitto.
soak-freezes: install-dev
	$(BIN)/python -m bench.freezes

# registerDevice with a Telegram that does not answer, and without one.
bench-alerts: install-dev
	$(BIN)/python -m bench.alert_latency

# Compares Rollcall with Mercurius on the same database. Needs wrk and npm.
bench-quick: install-dev
	$(BIN)/python -m bench.speed.run

# The same with all servers, connections and operations, pgbench, and bench-delivery: about 40
# minutes. Needs wrk, npm and mosquitto.
bench: install-dev
	$(BIN)/python -m bench.speed.run --all --rounds 3 --seconds 5 --connections 1 16 64 256 --json docs/performance.json
	$(BIN)/python -m bench.speed.plot
	$(BIN)/python -m bench.delivery --json docs/performance.json

# The cost of a boot and a registration with up to a million devices: about ten minutes. Needs wrk.
bench-scale: install-dev
	$(BIN)/python -m bench.speed.scale --json docs/performance.json

# 5,000 subscribers of Rollcall and of Mercurius. Needs npm.
bench-subscribers: install-dev
	$(BIN)/python -m bench.speed.subscribers --json docs/performance.json

# 50,000 unknown devices register at once, with and without persistent connections.
bench-cold-fleet: install-dev
	$(BIN)/python -m bench.speed.cold_fleet --json docs/performance.json

# 100,000 malformed requests and frames.
fuzz: MESSAGES ?= 1000000
fuzz: install-dev
	$(BIN)/python -m bench.fuzz --count $(MESSAGES)

# How fast 10,000 changed configs reach a broker. Needs mosquitto.
bench-delivery: install-dev
	$(BIN)/python -m bench.delivery

# The cost of lists and counts with 1,000, 100,000 and a million devices: a few minutes.
bench-lists: install-dev
	$(BIN)/python -m bench.fleet_of_a_million
