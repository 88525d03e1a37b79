"""Runs a command several times and prints, as JSON, what each run cost: CPU and wall seconds, peak memory in KiB.

usage: measure.py RUNS TIMEOUT_SECONDS PROGRAM [ARGUMENT ...]
The figures are the operating system's own accounting of the finished process and its children (wait4).
"""
import json, os, signal, subprocess, sys, time

runs, timeout, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
measured = []
for _ in range(runs):
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status, usage = os.wait4(process.pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    measured.append({
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - start,
        "memory": usage.ru_maxrss,
        "exit": process.returncode,
        "timed_out": process.returncode == -signal.SIGKILL,
    })
json.dump(measured, sys.stdout)
