"""Atomic replacement of files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ace._util.files import replace_file
from ace.errors import StoreError


def test_replaces_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "playbook.md"
    replace_file(target, "old")
    replace_file(target, "neu: ä\n")
    assert target.read_text(encoding="utf-8") == "neu: ä\n"
    assert list(target.parent.iterdir()) == [target]


def test_writes_bytes_as_they_are(tmp_path: Path) -> None:
    replace_file(tmp_path / "raw", b"\x00\r\n\xff")
    assert (tmp_path / "raw").read_bytes() == b"\x00\r\n\xff"


def test_keeps_permissions_and_follows_links(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    replace_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    replace_file(target, "old")
    with pytest.raises(UnicodeEncodeError):
        replace_file(target, "\ud800")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_is_a_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*folder"):
        replace_file(tmp_path / "folder", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_parent_that_is_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file/x"):
        replace_file(tmp_path / "file" / "x", "x")
