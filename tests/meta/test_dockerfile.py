"""The image: what its recipe says, and, where docker runs, that it builds and does its work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hatchling.builders.wheel import WheelBuilder

from bulk_upload.cli.commands.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMAGE = "bulk-upload-of-tests"
BUILD_S = 1200


class Step(NamedTuple):
    """One instruction: its word, and the rest of its lines as one."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """Return the arguments, also of the JSON form."""
        words: list[str] = json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()
        return words


def stages() -> list[list[Step]]:
    """Return the instructions of each stage; those before the first are the first group."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    steps = [Step(*line.split(maxsplit=1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    groups: list[list[Step]] = [[]]
    for step in steps:
        if step.word == "FROM":
            groups.append([])
        groups[-1].append(step)
    return groups


def one(steps: list[Step], word: str) -> Step:
    """Return the only instruction with a word."""
    (found,) = [step for step in steps if step.word == word]
    return found


def copied() -> Iterator[tuple[Path, str]]:
    """Yield what the stage that builds takes from the repository, and where it goes."""
    for step in stages()[1]:
        if step.word == "COPY":
            *sources, target = step.words
            for source in sources:
                yield ROOT / source, target


def test_the_base_is_a_python_that_is_supported() -> None:
    """It is pinned to a release, the same for both stages, of the newest Python that the classifiers name."""
    (before, *rest) = stages()
    name, _, tag = one(before, "ARG").rest.partition("=")
    release = re.fullmatch(r"(3\.\d+)\.\d+-slim-[a-z]+", tag)
    assert release is not None
    found = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert release.group(1) == max(found, key=lambda version: int(version.partition(".")[2]))
    bases = [stage[0].words[0] for stage in rest]
    assert bases == [f"python:${{{name}}}"] * 2


def test_the_image_is_not_roots() -> None:
    """The user is a number and not 0, set after the last step that needs root, and starts the command itself."""
    last = stages()[-1]
    user = one(last, "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user.rest)
    assert not [step for step in last[last.index(user) :] if step.word in ("RUN", "COPY", "ADD", "SHELL")]
    (program,) = one(last, "ENTRYPOINT").words
    assert program in PROJECT["scripts"]
    assert one(last, "ENTRYPOINT").rest.startswith("[")


def test_only_pip_uses_the_network() -> None:
    """And only in the stage that builds, of which the image has the environment alone."""
    steps = [step for stage in stages() for step in stage]
    assert "ADD" not in {step.word for step in steps}
    runs = [step.rest for step in steps if step.word == "RUN"]
    assert not re.search(r"\b(apt|apk|curl|wget|git)\b|https?:", "\n".join(runs))
    assert [step.rest for step in stages()[-1] if step.word == "COPY"] == [
        "--from=build /opt/bulk-upload /opt/bulk-upload"
    ]
    assert "pip" not in one(stages()[-1], "RUN").rest


def test_ledgers_outlive_the_container() -> None:
    """The folder of ledgers is a volume, and the command knows it by a variable that it reads; so is that of the data."""
    last = stages()[-1]
    variables = dict(word.split("=", maxsplit=1) for word in one(last, "ENV").words)
    folders = {one(last, "WORKDIR").rest, variables["BULK_UPLOAD_LEDGER_DIR"]}
    assert folders == set(one(last, "VOLUME").words)
    assert folders <= set(one(last, "RUN").words)
    assert "--ledger-dir" in {option for parameter in run.params for option in parameter.opts}


def test_what_is_copied_is_all_that_a_wheel_is_made_of(tmp_path: Path) -> None:
    """The wheel of those files alone is that of the repository."""
    for source, target in copied():
        assert source.exists(), source
        if source.is_dir():
            shutil.copytree(source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / target)
    names = [
        {found.distribution_path for found in WheelBuilder(str(root)).recurse_included_files()}
        for root in (tmp_path, ROOT)
    ]
    assert names[0] == names[1]
    (wheel,) = WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    assert Path(wheel).is_file()


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    """Run docker."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.docker
@pytest.mark.timeout(BUILD_S)
def test_the_image_does_its_work() -> None:
    """It builds, is not root's, and its demo uploads; skipped where docker does not run or has no base image."""
    if shutil.which("docker") is None or docker("info").returncode:
        pytest.skip("docker does not run here")
    base = f"python:{one(stages()[0], 'ARG').rest.partition('=')[2]}"
    if docker("image", "inspect", base).returncode and docker("pull", base).returncode:
        pytest.skip(f"there is no {base} here")
    built = docker("build", "--tag", IMAGE, ".")
    assert built.returncode == 0, built.stderr
    version = docker("run", "--rm", IMAGE, "--version")
    assert PROJECT["version"] in version.stdout
    demo = docker("run", "--rm", "--network", "none", IMAGE, "demo")
    assert demo.returncode == 0, demo.stderr
    user = docker("run", "--rm", "--entrypoint", "id", IMAGE, "-u")
    assert user.stdout.strip() == "10001"
