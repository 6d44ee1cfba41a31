"""Checks in fresh environments: `nox -l` lists them; try `nox -s lint "tests(oldest)" bare-3.12`."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests", "bare-3.12"]
nox.options.reuse_existing_virtualenvs = True

# The lower bounds in pyproject.toml.
OLDEST = (
    "pytest==8.2.*",
    "pluggy==1.5.*",
    "numpy==1.24.*",
    "xxhash==3.0.*",
    "execnet==2.1.*",
    "safetensors==0.4.*",
    "jinja2==3.1.*",
)
PYTEST = ("python", "-m", "pytest", "-n", "2", "--dist", "worksteal")


@nox.session
@nox.parametrize(
    ("python", "requirements"),
    [
        nox.param("3.10", ("-e", ".[test]", *OLDEST), id="oldest"),
        nox.param("3.13", ("-e", ".[test,stats]"), id="latest"),
        nox.param("3.11", ("-e", ".[dev]"), id="torch"),
        nox.param("3.11", ("-e", ".[dev]", "pytest==8.2.*"), id="oldest-pytest-torch"),
    ],
)
def tests(session: nox.Session, requirements: tuple[str, ...]) -> None:
    """The suite: oldest supported versions, latest versions (both without torch), and with torch 2.13."""
    session.install(*requirements)
    session.run(*PYTEST, *session.posargs)


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"])
def bare(session: nox.Session) -> None:
    """The suite without torch and other optional libraries; only hypothesis is needed to import the tests."""
    session.install("-e", ".", "hypothesis", "pytest-xdist")
    session.run(*PYTEST, *session.posargs)


@nox.session(python="3.11")
def libraries(session: nox.Session) -> None:
    """The tests of the adapters, and pages and examples, with all real libraries: 5 GB."""
    session.install("-e", ".[dev,libraries,more-libraries]")
    session.run(*PYTEST, "tests/adapters", *session.posargs)
    session.run(*PYTEST, "-m", "libraries", "tests/docs")
    session.run("python", "-m", "pytest", "examples", "-q")


@nox.session(python="3.11")
def examples(session: nox.Session) -> None:
    """The examples, with the messages of those that are expected to fail."""
    session.install("-e", ".[examples]")
    session.run("python", "-m", "pytest", "examples", "-rx", "--xfail-tb", *session.posargs)


@nox.session(python="3.11")
def coverage(session: nox.Session) -> None:
    """Branch coverage, as .ci/run measures it."""
    session.install("-e", ".[dev]")
    session.run(".ci/coverage", external=True)


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The documentation, with warnings as errors."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "docs", "build/site")


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    """mypy --strict over package, tests, examples and benchmarks."""
    session.install("-e", ".[dev]")
    session.run("mypy", *session.posargs)
