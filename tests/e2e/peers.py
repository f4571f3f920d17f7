# SPDX-License-Identifier: MIT
"""Where the programs are that cprof is held against: in PATH, where scripts/install-peers puts them, or where Debian hides them."""

import glob
import os
import shutil

from harness import Skip

PEERS = os.environ.get("CPROF_PEERS", os.path.expanduser("~/.cache/cprof-peers"))


def peer(name, how="scripts/install-peers"):
    """Its path, or the test is skipped with how to get it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], os.path.join(PEERS, "bin"), os.path.expanduser("~/.cargo/bin"))))
    found = found or next(iter(glob.glob(f"/usr/share/perl5/**/{name}", recursive=True) + glob.glob(os.path.join(PEERS, name))), None)
    if not found:
        raise Skip(f"{os.path.basename(name)} is not installed: {how}")
    return found


def flamegraph_pl():
    """Its command line."""
    return [peer("perl"), peer("flamegraph.pl", "apt install libdevel-nytprof-perl")]


def inferno():
    return [peer("inferno-flamegraph")]
