#!/usr/bin/env python3
"""Starts a unit's ExecStart within the restrictions of the unit, on a machine where systemd is not process 1.

    packaging/sandbox.py UNIT

It is called in a mount namespace of its own and holds what packaging/test.sh tries the service with: the user, the
environment file, limits, no capabilities, no new privileges, the system call filter, the address families, no memory
that is writable and executable, a read-only file system but for the state directory, and devices without hardware.
Prints what the service notifies its manager of. Forwards SIGHUP and SIGTERM; ends with the service's exit code.
"""

import ctypes
import os
import pwd
import re
import resource
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 22, 38, 24
SECCOMP_MODE_FILTER = 2
X86_64 = 0xC000003E
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, EPERM = 0x7FFF0000, 0x00050001
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, THIRD_ARGUMENT = 0, 4, 16, 32
PROT_WRITE, PROT_EXEC = 2, 4
NOTIFY = "/run/campaign_exporter.notify"
DEVICES = ["null", "zero", "full", "random", "urandom", "tty"]


def read_unit(path):
    """The settings of the section Service: name to the list of its values."""
    settings = {}
    for line in open(path, encoding="utf-8"):
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def group(name):
    """The system calls of a set such as @system-service."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, stdout=subprocess.PIPE, text=True)
    words = [line.split("#")[0].strip() for line in text.stdout.splitlines()[1:]]
    calls = set()
    for word in filter(None, words):
        calls |= group(word) if word.startswith("@") else {word}
    return calls


def allowed_calls(lines):
    """What SystemCallFilter= allows: sets, and after ~ what is taken away again."""
    calls = group("@default")
    for line in lines:
        names = {call for word in line.lstrip("~").split() for call in group(word)}
        calls = calls - names if line.startswith("~") else calls | names
    return calls | {"execve"}


def numbers():
    """The number of each system call, from the kernel's header."""
    header = open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", encoding="utf-8").read()
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}


def program(settings):
    """The filter as instructions (code, jump if true, jump if false, operand)."""
    number = numbers()
    families = [getattr(socket, name) for name in settings["RestrictAddressFamilies"][0].split()]
    code = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, X86_64), (RETURN, 0, 0, EPERM), (LOAD, 0, 0, NUMBER)]
    one_of = [(LOAD, 0, 0, FIRST_ARGUMENT)]
    for at, family in enumerate(families):
        one_of.append((JUMP_EQUAL, len(families) - at, 0, family))
    one_of += [(RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
    code += [(JUMP_EQUAL, 0, len(one_of), number["socket"])] + one_of
    for call, with_exec in [("mmap", PROT_WRITE), ("mprotect", PROT_EXEC), ("pkey_mprotect", PROT_EXEC)]:
        test = [(LOAD, 0, 0, THIRD_ARGUMENT), (JUMP_SET, 0, 2, PROT_EXEC), (JUMP_SET, 0, 1, with_exec)]
        test += [(RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
        code += [(JUMP_EQUAL, 0, len(test), number[call])] + test
    for call in sorted(number[call] for call in allowed_calls(settings["SystemCallFilter"]) if call in number):
        code += [(JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, ALLOW)]
    return code + [(RETURN, 0, 0, EPERM)]


def prctl(option, *arguments):
    longs = [argument if isinstance(argument, ctypes.c_void_p) else ctypes.c_ulong(argument) for argument in arguments]
    if LIBC.prctl(option, *longs) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def confine_files(state):
    """ProtectSystem=strict, PrivateDevices=yes, StateDirectory=."""
    os.makedirs("/run/devices", exist_ok=True)
    mount("--types", "tmpfs", "tmpfs", "/run/devices")
    for name in DEVICES:
        open(f"/run/devices/{name}", "w", encoding="utf-8").close()
        mount("--bind", f"/dev/{name}", f"/run/devices/{name}")
    mount("--rbind", "/run/devices", "/dev")
    mount("--bind", state, state)
    points = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")]
    for point in points:
        if point != state and not point.startswith(("/proc", "/dev/")):
            mount("--options", "remount,bind,ro", point)


def confine(user, settings, code):
    """In the child: limits, user, capabilities, filter."""
    # In a container the hard limit can't be raised, where systemd could.
    files = int(settings["LimitNOFILE"][0])
    files = min(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    os.umask(int(settings["UMask"][0], 8))
    os.nice(int(settings["Nice"][0]))
    for capability in range(64):
        # The kernel has fewer than that.
        LIBC.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability))
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(instructions)
    header = ctypes.create_string_buffer(struct.pack("HL", len(code), ctypes.addressof(buffer)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(header)))


def main():
    settings = read_unit(sys.argv[1])
    user = pwd.getpwnam(settings["User"][0])
    code = program(settings)
    state = "/var/lib/" + settings["StateDirectory"][0]
    os.makedirs(state, exist_ok=True)
    if os.stat(state).st_uid != user.pw_uid:
        # As systemd does with what a run as root has left.
        for path in [state, *(os.path.join(state, name) for name in os.listdir(state))]:
            os.chown(path, user.pw_uid, user.pw_gid)
    os.chmod(state, int(settings["StateDirectoryMode"][0], 8))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(NOTIFY):
        os.remove(NOTIFY)
    listener.bind(NOTIFY)
    os.chmod(NOTIFY, 0o777)
    confine_files(state)

    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "NOTIFY_SOCKET": NOTIFY, "STATE_DIRECTORY": state}
    environment["WATCHDOG_USEC"] = "2000000"
    variables = {}
    for path in settings.get("EnvironmentFile", []):
        for line in open(path.lstrip("-"), encoding="utf-8"):
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                variables[name] = " ".join(shlex.split(value))
    command = []
    for word in settings["ExecStart"][0].split():
        command += variables.get(word[1:], "").split() if word.startswith("$") else [word]
    child = subprocess.Popen(
        command, env=environment | variables, cwd="/", preexec_fn=lambda: confine(user, settings, code)
    )
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda received, _: child.send_signal(received))

    def tell():
        while True:
            print("notified:", listener.recv(4096).decode().replace("\n", " "), flush=True)

    threading.Thread(target=tell, daemon=True).start()
    print("pid:", child.pid, flush=True)
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
