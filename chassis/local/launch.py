"""Become the program named on the command line, tied to the life of the process that started it.

    python -I -S launch.py PARENT SIGNAL UID GID PROGRAM ARGUMENT...

Run as a script of its own, not as `preexec_fn`, because Python code between fork and exec is unsafe once gRPC's
threads run. It asks the kernel to send SIGNAL when the starting *thread* ends (however it ends, kill -9 too),
and gives up root for UID when that is not -1. `PARENT` is the starter's pid: if that is no longer the parent,
the starter died before the kernel could be asked.

When root is given up, the right to pass folders that belong to root (CAP_DAC_OVERRIDE) stays, so that a checkout
below /root works without opening any folder to other users; kill, network and mount rights go.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def _keep_folder_access(libc: ctypes.CDLL) -> None:
    """Hold CAP_DAC_OVERRIDE alone, and hand it on through exec; without effect where the kernel refuses."""
    bit = 1 << _CAP_DAC_OVERRIDE
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    # Effective, permitted, inheritable for capabilities 0 to 31, then the same for 32 to 63.
    data = ctypes.create_string_buffer(struct.pack("=6I", bit, bit, bit, 0, 0, 0))
    if libc.capset(header, data) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main(arguments: list[str]) -> None:
    """Tie, give up root, become PROGRAM. Does not return."""
    parent, death_signal, uid, gid = (int(text) for text in arguments[:4])
    program = arguments[4:]
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        _keep_folder_access(libc)
        os.umask(0o077)
    if sys.platform == "linux":
        # After setuid, which clears it.
        libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("launch: the starting process is gone")
    os.execvpe(program[0], program, os.environ)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
