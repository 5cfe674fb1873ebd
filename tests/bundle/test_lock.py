"""The locks that come with the package, and which of their files a site gets."""

from __future__ import annotations

import re
import tomllib

import pytest
from running import ROOT

from opro_local.bundle.lock import EXTRAS, OLDEST, Site, chosen, default_python, read_lock
from opro_local.bundle.request import Request, request
from opro_local.errors import UsageError

# What only PyTorch's own index has; the lock holds the one for Python 3.11.
TORCH = "torch-2.13.0+cpu-cp{0}-cp{0}-manylinux_2_28_x86_64.whl"
KERNELS = ("flashinfer_cubin-{}-py3-none-any.whl", "flashinfer_jit_cache-{}-cp39-abi3-{}.whl")
LOCKED = {target: read_lock(target) for target in ("cpu", "cuda")}


def site(target: str, python: str = "", platform: str = "") -> Site:
    return Site(target, python or LOCKED[target]["pythons"][-1], platform or OLDEST[target])


@pytest.mark.parametrize("target", LOCKED)
def test_a_lock_names_files_sizes_and_digests_and_no_address(target):
    names = [(package["name"], package["version"]) for package in LOCKED[target]["packages"]]
    assert len(set(names)) == len(names)
    for package in LOCKED[target]["packages"]:
        assert package["files"], package["name"]
        for name, size, sha256 in package["files"]:
            assert "/" not in name and size > 0 and re.fullmatch(r"[0-9a-f]{64}", sha256)


@pytest.mark.parametrize("target", LOCKED)
def test_a_lock_holds_what_pyproject_asks_for(target):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {package["name"]: package for package in LOCKED[target]["packages"]}
    from packaging.requirements import Requirement

    optional = project["optional-dependencies"]
    for extra in ("", target, *EXTRAS):
        for text in optional[extra] if extra else project["dependencies"]:
            asked = Requirement(text)
            if asked.name == "opro-local":
                continue
            name = re.sub(r"[-_.]+", "-", asked.name.lower())
            assert name in locked, f"run scripts/lock_bundle.py {target}: {text}"
            version = locked[name]["version"]
            assert asked.specifier.contains(version, prereleases=True), f"{text}: {version}"
            if extra in EXTRAS and locked[name]["extras"]:
                assert extra in locked[name]["extras"], text


@pytest.mark.parametrize(
    ("target", "python", "platform", "expected"),
    [
        ("cpu", "3.11", "", "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"),
        ("cuda", "3.12", "", "torch-2.14.0-cp312-cp312-manylinux_2_28_x86_64.whl"),
        ("cuda", "3.14", "", "torch-2.14.0-cp314-cp314-manylinux_2_28_x86_64.whl"),
        *[
            ("cuda", "3.13", "manylinux_2_39_aarch64", name)
            for name in (
                "torch-2.14.0-cp313-cp313-manylinux_2_28_aarch64.whl",
                "vllm-0.33.0-cp38-abi3-manylinux_2_28_aarch64.whl",
                "multiprocess-0.70.19-py313-none-any.whl",
            )
        ],
    ],
)
def test_a_site_gets_the_file_of_its_own_python_and_machine(target, python, platform, expected):
    files = [wheel.name for wheel in chosen(LOCKED[target], site(target, python, platform))]
    assert expected in files
    assert not [
        name
        for name in files
        if "cp31" in name and f"cp{python.replace('.', '')}" not in name and "abi3" not in name
    ]


@pytest.mark.parametrize(
    ("target", "python"), [(t, p) for t in LOCKED for p in LOCKED[t]["pythons"]]
)
def test_each_package_comes_once(target, python):
    """The lock holds networkx twice, for older and newer Pythons."""
    brought = ("torch",) if target == "cpu" and python != "3.11" else ()
    files = chosen(LOCKED[target], site(target, python), EXTRAS, brought)
    names = [wheel.package for wheel in files]
    assert len(set(names)) == len(names)
    assert ("torch" in names) is not bool(brought)


@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
def test_a_cpu_bundle_for_a_newer_python_takes_the_pytorch_that_is_brought(tmp_path, python):
    """The lock holds all else: PyTorch's CPU wheels are on its own index, and not at hand."""
    there = site("cpu", python)
    with pytest.raises(UsageError, match=r"no wheel of torch .* for Python .* with --wheel"):
        request(there)
    wheel = tmp_path / TORCH.format(python.replace(".", ""))
    wheel.touch()
    files = {each.package: each.name for each in request(there, wheels=[wheel]).packages()}
    assert "torch" not in files
    assert f"-cp{python.replace('.', '')}-" in files["numpy"]
    assert files.keys() | {"torch"} >= {"scipy", "transformers", "datasets", "pip"}


@pytest.mark.parametrize(
    ("target", "own", "brought", "expected"),
    [
        *[("cpu", own, (), "3.11") for own in ("3.11", "3.12", "3.14", "3.99")],
        ("cpu", "3.13", ("torch",), "3.13"),
        ("cpu", "3.99", ("torch",), "3.14"),
        ("cuda", "3.12", (), "3.12"),
        ("cuda", "3.99", (), "3.14"),
    ],
)
def test_without_a_name_the_python_is_one_that_the_lock_serves(target, own, brought, expected):
    assert default_python(target, OLDEST[target], own, brought) == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (TORCH.format("312"), "does not run with Python 3.13 on manylinux_2_28_x86_64"),
        (TORCH.format("313").replace("x86_64", "aarch64"), "does not run with Python 3.13 on"),
        (TORCH.format("313").replace("_28", "_34"), "does not run with Python 3.13 on"),
        ("torch-2.13.0-cp313-cp313t-manylinux_2_28_x86_64.whl", "does not run with Python 3.13"),
        ("torch-2.13.0-cp313-none-win_amd64.whl", "does not run with Python 3.13 on"),
        ("torch-2.13.0.tar.gz", "is no wheel by its name"),
    ],
)
def test_a_wheel_that_does_not_run_at_the_site_is_not_brought(tmp_path, name, says):
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=says):
        request(site("cpu", "3.13"), wheels=[tmp_path / name])


def test_two_wheels_of_one_package_are_not_brought(tmp_path):
    wheels = [tmp_path / f"tiny-{number}-py3-none-any.whl" for number in (1, 2)]
    for path in wheels:
        path.touch()
    with pytest.raises(UsageError, match="'tiny' comes twice"):
        request(site("cpu", "3.11"), wheels=wheels)


def test_extras_come_only_when_asked():
    there = site("cpu", "3.11")
    plain = [wheel.package for wheel in chosen(LOCKED["cpu"], there)]
    tested = [wheel.package for wheel in chosen(LOCKED["cpu"], there, ["test"])]
    assert "pip" in plain
    assert "pytest" not in plain and {"pytest", "rouge-score"} <= set(tested)
    assert set(plain) < set(tested)


def test_without_kernels_a_cuda_bundle_says_what_it_lacks():
    lacks = Request(site("cuda")).lacks()
    version = {p["name"]: p["version"] for p in LOCKED["cuda"]["packages"]}["flashinfer-python"]
    assert lacks == [f"flashinfer-cubin=={version}", f"flashinfer-jit-cache=={version}"]
    assert Request(site("cpu", "3.11")).lacks() == []


def test_kernels_are_brought_in_flashinfers_own_version(tmp_path):
    lacks = Request(site("cuda")).lacks()
    cubin, jit = KERNELS
    tag = "manylinux_2_28_x86_64"
    for version, says in (("0.6.13", True), (lacks[0].partition("==")[2], False)):
        wheels = [tmp_path / cubin.format(version), tmp_path / jit.format(f"{version}+cu130", tag)]
        for path in wheels:
            path.touch()
        if says:
            with pytest.raises(UsageError, match=r"flashinfer-cubin 0\.6\.13 does not fit"):
                request(site("cuda"), wheels=wheels)
        else:
            assert request(site("cuda"), wheels=wheels).lacks() == []
            assert request(site("cuda"), wheels=wheels[:1]).lacks() == lacks[1:]


@pytest.mark.parametrize(
    ("target", "python", "platform", "extras", "says"),
    [
        ("rocm", "3.11", "", (), "--target 'rocm' is unknown; one of cpu, cuda"),
        ("cuda", "3.9", "", (), "--python 3.9: the cuda lock holds Python 3.11, 3.12, 3.13, 3.14"),
        ("cpu", "3.11", "manylinux_2_28_aarch64", (), "the cpu lock holds x86_64"),
        ("cuda", "3.12", "win_amd64", (), "--platform 'win_amd64' is unknown; say manylinux_2_N"),
        ("cuda", "3.12", "manylinux_2_17_x86_64", (), "the lock has no wheel of "),
        ("cuda", "3.12", "", ("docs",), "--extra 'docs' is unknown; one of math, text"),
    ],
)
def test_what_the_lock_does_not_hold_is_refused_by_name(target, python, platform, extras, says):
    with pytest.raises(UsageError) as error:
        chosen(read_lock(target), Site(target, python, platform or OLDEST[target]), extras)
    assert says in str(error.value)
