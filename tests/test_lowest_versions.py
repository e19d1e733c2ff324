"""What CI installs as the lowest versions is what the package states as such."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def bounds(lines, operator):
    """Give the version behind an operator for each distribution, and no other requirement."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (bound,) = requirement.specifier
        assert bound.operator == operator, line
        found[requirement.name] = Version(bound.version)
    return found


def test_the_lowest_versions_in_ci_are_those_that_the_package_states():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = bounds(project["dependencies"], ">=")
    lines = (ROOT / "tests" / "lowest-requirements.txt").read_text().splitlines()
    pinned = bounds([line for line in lines if not line.startswith("#")], "==")
    assert pinned | {"torch": stated["torch"]} == stated
