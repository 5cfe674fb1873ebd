"""The locks in the package, and which of their files a site with a given Python and platform needs.

For: reading locks/{cpu,cuda}.json, which scripts/lock_bundle.py writes, and choosing one file per
package as pip would. Not for: fetching (wheels.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.errors import UsageError

LOCKS = Path(__file__).parent / "locks"
TARGETS = ("cpu", "cuda")
# What is chosen besides the target's own packages; `installer` is pip for the far side.
INSTALLER = "installer"
EXTRAS = ("math", "text", "lm-eval", "bundle", "test")
# A platform as pip says it: the oldest glibc of the site, and its machine.
PLATFORM = re.compile(
    r"""
    manylinux_2_ (?P<glibc> \d{1,3} )
    _ (?P<machine> x86_64 | aarch64 )
    """,
    re.VERBOSE,
)
# The oldest that every wheel of the lock has a file for: RHEL 8, and Ubuntu 22.04.
OLDEST = {"cpu": "manylinux_2_28_x86_64", "cuda": "manylinux_2_35_x86_64"}
# The older names that wheels carry besides, by the minor version of glibc 2 that they stand for.
OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a bundle is installed: target (`cpu` or `cuda`), Python ("3.11") and platform."""

    target: str
    python: str
    platform: str

    def __post_init__(self) -> None:
        """Raises UsageError where the platform is none that a wheel is made for."""
        if not PLATFORM.fullmatch(self.platform):
            raise UsageError(
                f"--platform {self.platform!r} is unknown",
                "say manylinux_2_N_MACHINE: the site's glibc 2.N, x86_64 or aarch64",
            )

    @property
    def glibc(self) -> int:
        """The N of glibc 2.N."""
        return int(_parts(self.platform)["glibc"])

    @property
    def machine(self) -> str:
        """What `uname -m` says there."""
        return _parts(self.platform)["machine"]

    @property
    def platforms(self) -> list[str]:
        """The platform tags that wheels for this site may carry, the newest first."""
        tags = []
        for minor in range(self.glibc, 4, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in OLDER_NAMES:
                tags.append(f"{OLDER_NAMES[minor]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

    @property
    def markers(self) -> dict[str, str]:
        """What environment markers see there."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "os_name": "posix",
            "platform_machine": self.machine,
            "extra": "",
        }


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file to fetch: a wheel, or a source archive of a pure Python package that has none."""

    package: str
    version: str
    name: str
    bytes: int
    sha256: str

    @property
    def is_source(self) -> bool:
        """Whether it has to be built first."""
        return not self.name.endswith(".whl")


def read_lock(target: str) -> Mapping[str, Any]:
    """The lock of a target. Raises UsageError where there is no such target."""
    if target not in TARGETS:
        raise UsageError(f"--target {target!r} is unknown", f"one of {', '.join(TARGETS)}")
    lock: Mapping[str, Any] = json.loads((LOCKS / f"{target}.json").read_text("utf-8"))
    return lock


def lock_digest(target: str) -> str:
    """The SHA-256 of a target's lock."""
    return hashlib.sha256((LOCKS / f"{target}.json").read_bytes()).hexdigest()


def chosen(
    lock: Mapping[str, Any],
    site: Site,
    extras: Iterable[str] = (),
    brought: Collection[str] = (),
) -> list[Wheel]:
    """The files that a site needs, by package name: the target's own, pip, and the extras'.

    Args:
        lock: what `read_lock` gave.
        site: where they shall run.
        extras: what is chosen besides the target's own.
        brought: packages that come from elsewhere; none of the lock's is chosen for them.

    Raises:
        UsageError: the lock has no such Python, machine or extra, or no file of a package fits.
    """
    from packaging.markers import Marker

    extras = tuple(extras)
    _refuse_unlocked(lock, site, extras)
    wanted = {INSTALLER, *extras}
    ranks = _ranks(site)
    files = []
    for package in lock["packages"]:
        if package["name"] in brought:
            continue
        if package["extras"] and not wanted.intersection(package["extras"]):
            continue
        if package["marker"] and not Marker(package["marker"]).evaluate(site.markers):
            continue
        files.append(_best(package, ranks, site))
    return files


def default_python(target: str, platform: str, own: str, brought: Collection[str] = ()) -> str:
    """The Python of a site that nobody named: the own one where the lock, with what is brought, has
    every package for it, else the newest that it has them for.
    """
    lock = read_lock(target)
    for python in (own, *reversed(lock["pythons"])):
        try:
            chosen(lock, Site(target, python, platform), brought=brought)
        except UsageError:
            continue
        return python
    return own  # and the request says what is lacking


def fits(tags: Iterable[Any], site: Site) -> bool:
    """Whether a wheel with these tags (of `packaging.tags`) runs at a site."""
    return not _ranks(site).keys().isdisjoint(tags)


def _parts(platform: str) -> Mapping[str, str]:
    match = PLATFORM.fullmatch(platform)
    assert match  # the site was made
    return match.groupdict()


def _refuse_unlocked(lock: Mapping[str, Any], site: Site, extras: Iterable[str]) -> None:
    """Raise UsageError for a Python, machine or extra that the lock was not made for."""
    how = "scripts/lock_bundle.py makes a lock for others"
    if site.python not in lock["pythons"]:
        there = ", ".join(lock["pythons"])
        raise UsageError(
            f"--python {site.python}: the {site.target} lock holds Python {there}", how
        )
    if site.machine not in lock["machines"]:
        there = ", ".join(lock["machines"])
        raise UsageError(f"--platform {site.platform}: the {site.target} lock holds {there}", how)
    for extra in extras:
        if extra not in EXTRAS:
            raise UsageError(f"--extra {extra!r} is unknown", f"one of {', '.join(EXTRAS)}")


def _ranks(site: Site) -> dict[Any, int]:
    """Each wheel tag that runs at the site with its rank, the best 0."""
    return {tag: rank for rank, tag in enumerate(_tags(site))}


def _tags(site: Site) -> Iterator[Any]:
    from packaging import tags

    major, minor = (int(part) for part in site.python.split("."))
    version, name = (major, minor), f"cp{major}{minor}"
    yield from tags.cpython_tags(version, [name], site.platforms)
    yield from tags.compatible_tags(version, name, site.platforms)


def _best(package: Mapping[str, Any], ranks: Mapping[Any, int], site: Site) -> Wheel:
    """The file of a package that pip would take. Raises UsageError where none fits."""
    from packaging.utils import parse_wheel_filename

    best: tuple[int, Wheel] | None = None
    for name, size, sha256 in package["files"]:
        wheel = Wheel(package["name"], package["version"], name, size, sha256)
        if wheel.is_source:
            return wheel  # the only file: the lock has a source where there is no wheel
        ranked = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        if ranked and (best is None or min(ranked) < best[0]):
            best = min(ranked), wheel
    if best is None:
        raise UsageError(
            f"the lock has no wheel of {package['name']} {package['version']} for Python "
            f"{site.python} on {site.platform}",
            "bring one with --wheel, or name the site's own glibc with --platform, or another "
            "--python",
        )
    return best[1]
