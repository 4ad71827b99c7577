#!/usr/bin/env python3
"""Runs a program whose fsync and fdatasync fail with EIO, as on a broken disk.

A seccomp filter, since a preloaded library does not see system calls that bypass libc. Operations of an
io_uring are not filtered; the server syncs by system calls in every strategy.

Usage: failing-sync.py PROGRAM [ARGUMENT ...]
"""

import ctypes
import errno
import os
import platform
import struct
import sys

FSYNC, FDATASYNC = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

INSTRUCTIONS = [
    (LOAD_WORD, 0, 0, 0),
    (JUMP_EQUAL, 1, 0, FSYNC),
    (JUMP_EQUAL, 0, 1, FDATASYNC),
    (RETURN, 0, 0, ERRNO | errno.EIO),
    (RETURN, 0, 0, ALLOW),
]


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def main():
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in INSTRUCTIONS)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Filter(len(INSTRUCTIONS), code)), 0, 0),
    ]
    for each in arguments:
        if libc.prctl(*each) != 0:
            sys.exit(f"failing-sync.py: cannot filter system calls: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])


main()
