"""What livedpo stands on, told from what is installed: the lock, and the licences.

    python -m tests.support.dependencies lock        # writes labeler/requirements.lock
    python -m tests.support.dependencies licences    # prints the table of labeler/README.md
    python -m tests.support.dependencies audited     # prints what `make audit` asks about

The lock is a list of constraints: versions that the tests have passed with, for whatever of them a
machine installs. PyTorch is left to its range, because its builds for CPUs, CUDA and Macs differ.
"""

import argparse
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "labeler" / "requirements.lock"
EXTRAS = "", "test"  # what `make serve` and `make test` install
FREE = ("torch", "triton", "nvidia-")  # of each machine's own build
# Licences under which what is installed beside livedpo may not restrict livedpo itself.
COPYLEFT = ("GPL", "AGPL", "SSPL", "EUPL")
HEAD = """\
# Versions with which the tests have passed. `make serve` and `make test` install these, as far as
# this machine needs them; `make newest` tries the newest ones, and `make lock` writes this list.
# PyTorch is left to the range in pyproject.toml: its builds for CPUs, CUDA and Macs differ.
"""
# How packages say the same in other words; the classifier's, or the beginning of a text.
NAMES = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "ISC License": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}


def declared(extras: Iterable[str] = EXTRAS) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"": project["dependencies"]} | project["optional-dependencies"]
    return [Requirement(line) for extra in extras for line in lists[extra]]


def needed(extras: Iterable[str] = EXTRAS) -> dict[str, Distribution]:
    """Every installed package that livedpo needs, by name."""
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()

    def ask(requirement: Requirement) -> None:
        key = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (key, extra) in asked:
                continue
            asked.add((key, extra))
            try:
                found[key] = distribution(requirement.name)
            except PackageNotFoundError:  # of another system
                continue
            for each in _requirements(found[key], extra):
                ask(each)

    for requirement in declared(extras):
        ask(requirement)
    return dict(sorted(found.items()))


def _requirements(package: Distribution, extra: str) -> Iterator[Requirement]:
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def lock() -> str:
    """The text of the lock."""
    pinned = (
        f"{name}=={package.version}\n"
        for name, package in needed().items()
        if not name.startswith(FREE)
    )
    return HEAD + "".join(pinned)


def audited() -> str:
    """The lock and PyTorch, whose build of this machine no advisory names."""
    return f"{LOCK.read_text()}torch=={version('torch').partition('+')[0]}"


def licence(package: Distribution) -> str:
    """What a package says of its licence, as SPDX names it where that is known; "" if nothing."""
    said = package.metadata
    if "License-Expression" in said:
        return said["License-Expression"]
    classified = [
        NAMES.get(name := line.rpartition(" :: ")[2], name)
        for line in said.get_all("Classifier") or ()
        if line.startswith("License ::") and line.count(" :: ") > 1
    ]
    if classified:
        return " AND ".join(sorted(set(classified)))
    text = " ".join(" ".join(said.get_all("License") or ()).split())
    return next((spdx for words, spdx in NAMES.items() if text.startswith(words)), text[:40])


def licences() -> str:
    """A table of licences, the most common first."""
    by_licence: dict[str, list[str]] = defaultdict(list)
    for name, package in needed(extras=("",)).items():
        by_licence[licence(package)].append(name)
    rows = sorted(by_licence.items(), key=lambda row: (-len(row[1]), row[0]))
    lines = [f"| {name} | {', '.join(packages)} |" for name, packages in rows]
    return "\n".join(["| licence | packages |", "|---|---|", *lines])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lock", "licences", "audited"))
    match parser.parse_args().what:
        case "lock":
            LOCK.write_text(lock())
        case "licences":
            print(licences())
        case _:
            print(audited())


if __name__ == "__main__":
    main()
