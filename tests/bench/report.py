"""bench.md and bench.svg."""
import os
import platform
import shutil
import statistics
import subprocess

from figures import QUICK, ROUNDS, SECONDS
from servers import BUILD, ROOT, USER

PACKAGES = ("s6", "ucspi-unix", "socat", "systemd", "nodejs", "musl-tools")


def first_line(*command):
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [""])[0]


def load_average():
    return "%.1f" % os.getloadavg()[0]


def machine(before, seconds):
    """What it was measured on, and how."""
    cpu = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            name, _, value = line.partition(":")
            if name.strip() in ("vendor_id", "model name"):
                cpu = (cpu + " " + value.strip()).strip()
            if not line.strip():
                break
    versions = [first_line("dpkg-query", "-W", "-f", "${Package} ${Version}", name)
                for name in PACKAGES]
    return [
        "- Linux %s, %s, %d CPUs; load average at the start: %s" % (
            platform.release(), cpu, os.cpu_count() or 0, before),
        "- " + first_line(os.path.join(BUILD, "src/udsd"), "-V"),
        "- " + ", ".join(version for version in versions if version),
        "- %s; %d rounds of %.1f s in turns, %.0f s in all; `make bench%s`" % (
            ("servers run as %s unless it says root" if ROOT else "%s, an ordinary user")
            % USER.pw_name,
            ROUNDS, SECONDS, seconds, " QUICK=1" if QUICK else ""),
    ]


def text(rows, tables, rates, before, seconds):
    lines = ["# What udsd costs", "", *machine(before, seconds)]
    if rates.missing:
        lines.append("- not installed, so not measured: " + ", ".join(rates.missing))
    if rates.lost:
        lines.append("- lines were left out of the log %d times" % rates.lost)
    lines += ["", "Ratios of the same round; medians of all rounds, lowest and highest.", "",
              "| what | median | spread | goal | reached |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    judged = [row for row in rows if row.reached() is not None]
    lines += ["", "%d of %d goals reached." % (sum(row.reached() for row in judged), len(judged))]
    lines += ["", "CPU us: microseconds of CPU for a connection, server and handlers."]
    for title, table in tables.items():
        lines += ["", "## " + title, "", *table]
    return "\n".join(lines) + "\n"


PLOT = """set terminal svg size 860,420 font "sans-serif,11" background "white"
set output "bench.svg"
set title "connections a second, to the bare vfork loop (handler without a libc)"
set style data histograms
set style fill solid 0.8 noborder
set yrange [0:*]
set rmargin 12
set grid ytics
set xtics rotate by -30
plot for [i=2:%d] "%s" using i:xtic(1) title columnheader(i)
"""


def write_chart(bench, rates):
    if shutil.which("gnuplot") is None:
        print("bench.svg: not drawn, gnuplot is not installed")
        return
    path = bench.path("dat")
    with open(path, "w", encoding="utf-8") as out:
        out.write("server %s\n" % " ".join('"%d clients"' % n for n in rates.results))
        for server in rates.servers:
            ratio = [statistics.median(rates.to_floor(n, server.name)) for n in rates.results]
            out.write('"%s" %s\n' % (server.name, " ".join("%.3f" % value for value in ratio)))
    subprocess.run(["gnuplot"], input=PLOT % (len(rates.results) + 1, path), text=True, check=True)
