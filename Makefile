# Two commands: `make demo` and `make test`. Both make .venv first if it is not there.

PYTHON ?= python3
BIN := .venv/bin
STORE ?= store

.PHONY: demo test test-numerics test-viewer validate fuzz links docs screenshots check bench clean

demo: .venv/ready
	$(BIN)/python -m precompute demo --out $(STORE)
	EXPLORER_STORE=$(STORE) $(BIN)/streamlit run streamlit_app.py

test: check
	$(BIN)/python -m pytest

# the tests with floating-point figures, under the kernels that other processors choose
test-numerics: .venv/ready-dev
	$(BIN)/python -m tests.numerics

# simulated coverage, sizes and baselines, into docs/validation.md: a quarter of an hour on two cores
validate: .venv/ready-dev
	$(BIN)/python -m tests.validation

# the suite in depth: more damaged input, more generated examples, and the cases that it leaves out for time
fuzz: .venv/ready-dev
	FUZZ_CASES=$${FUZZ_CASES:-100000} $(BIN)/python -m pytest --timeout 0

# twenty random views of every page, each opened by its link in a fresh browser: half an hour on two cores
links: .venv/ready-dev
	LINKS_PER_PAGE=20 $(BIN)/python -m pytest tests/browser/test_links.py --timeout 0

# docs/ as a site in docs-site/; a broken link or a page outside the navigation fails
docs: .venv/ready-dev
	$(BIN)/python -m mkdocs build --strict -f docs/site/mkdocs.yml

# the pictures of the docs, of the demo's store: STORE=DIR, and RUN=NAME for another run than the latest
screenshots: .venv/ready-dev
	$(BIN)/python -m tests.browser.screenshots $(STORE) $(RUN)

# the viewer's list of packages in a bare environment: every page without torch. Installs 1.1 GB
test-viewer: .venv/ready-dev
	FUZZ_CASES=1 $(BIN)/python -m pytest tests/test_wheel.py -k viewers_list --timeout 0 -n 0

check: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready-dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv

.venv/ready: requirements.txt requirements-viewer.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

.venv/ready-dev: requirements-dev.txt .venv/ready
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@
