"""Times reels and its peers in turns on the same prompts, and prints medians and ratios.

    python compare.py --reels target/release/reels --server llama-server --model M.gguf \\
        --data W/reels.jsonl --prompts W/prompts -o compare.jsonl [--rounds 5]

W is what workload.py wrote. Every round runs every program once, in an order that moves on by one each round, so that
a machine that becomes slower is slow for all. OUT.jsonl gets one line a run. The machine should have nothing else to do.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import TASKS, TEXT_TOKENS

PEERS = Path(__file__).with_name("peers.py")
# Peer, the arguments of peers.py, Reels a run: each long enough to be stable.
RUNS = [
    ("reels", None, 16),
    ("llama-cpp-python, reuse", ["llama-cpp-python", "--reuse"], 6),
    ("llama-cpp-python, no reuse", ["llama-cpp-python", "--no-reuse"], 3),
    ("llama-server, 1 slots", ["llama-server", "--slots", "1"], 6),
    ("llama-server, 4 slots", ["llama-server", "--slots", "4"], 8),
    ("llama-server, 8 slots", ["llama-server", "--slots", "8"], 16),
    ("llama-server, 16 slots", ["llama-server", "--slots", "16"], 16),
]


def run_reels(arguments, count, folder):
    """One line as peers.py prints them; the time is reels' own, from loaded weights to the last answer."""
    command = [arguments.reels, "predict", "--no-loop-stop", "--model", arguments.model, "--data", arguments.data]
    command += ["--prompts", arguments.prompts, "--output", folder, "--limit", count]
    command += ["--width", arguments.width, "--threads", arguments.threads]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"reels ended with {process.returncode}: {' '.join(map(str, command))}")
    speed = json.loads((folder / "manifest.json").read_text())["speed"]
    if speed["generated_tokens"] != count * TEXT_TOKENS:
        raise SystemExit(
            f"reels generated {speed['generated_tokens']} tokens where the peers generate {count * TEXT_TOKENS}\n"
            "hint: use the model of random_model.py and the prompts of workload.py"
        )
    return {
        "peer": "reels",
        "reels": count,
        "seconds": round(speed["seconds"], 3),
        "reels_per_second": count / speed["seconds"],
        "tasks_per_second": count * len(TASKS) / speed["seconds"],
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "settings": {"width": arguments.width, "threads": arguments.threads},
    }


def run_peer(arguments, peer_arguments, count, predictions):
    command = [sys.executable, PEERS, *peer_arguments, "--model", arguments.model, "--predictions", predictions]
    command += ["--reels", count, "--threads", arguments.threads]
    if peer_arguments[0] == "llama-server":
        command += ["--server", arguments.server]
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def table(lines):
    """Medians over rounds; `reels is` compares the runs of the same round."""
    rates = {}
    for line in lines:
        rates.setdefault(line["peer"], []).append(line)
    rows = [("", "Reels", "tasks/s", "range", "peak MiB", "reels is", "range")]
    for peer, runs in rates.items():
        tasks = [run["tasks_per_second"] for run in runs]
        ratios = [own["tasks_per_second"] / theirs for own, theirs in zip(rates["reels"], tasks)]
        rows.append((
            peer,
            str(runs[0]["reels"]),
            f"{statistics.median(tasks):.3f}",
            f"{min(tasks):.3f}-{max(tasks):.3f}",
            f"{statistics.median(run['peak_mib'] for run in runs):.0f}",
            f"{statistics.median(ratios):.2f} x",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reels", type=Path, required=True, metavar="PROGRAM")
    parser.add_argument("--server", type=Path, required=True, metavar="PROGRAM")
    parser.add_argument("--model", type=Path, required=True, metavar="M.gguf")
    parser.add_argument("--data", type=Path, required=True, metavar="F.jsonl")
    parser.add_argument("--prompts", type=Path, required=True, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.jsonl")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--count", type=int, metavar="N", help="Reels in every run, to try it out")
    parser.add_argument("--peer", action="append", choices=[peer for peer, how, _ in RUNS if how], help="only this one; repeatable")
    arguments = parser.parse_args()

    wanted = [run for run in RUNS if run[1] is None or run[0] in (arguments.peer or [run[0]])]
    runs = [(peer, how, arguments.count or count) for peer, how, count in wanted]
    lines = []
    with tempfile.TemporaryDirectory() as temporary, arguments.output.open("w") as output:
        temporary = Path(temporary)
        machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "system": platform.platform()}
        output.write(json.dumps(machine) + "\n")
        # Not timed: makes the prompts, and brings the model file into memory.
        run_reels(arguments, max(count for _, _, count in runs) + 1, temporary / "prompts")
        predictions = temporary / "prompts" / "predictions.jsonl"
        for round in range(arguments.rounds):
            start = round % len(runs)
            for peer, how, count in runs[start:] + runs[:start]:
                load = os.getloadavg()[0]
                if how is None:
                    line = run_reels(arguments, count, temporary / f"round-{round}")
                else:
                    line = run_peer(arguments, how, count, predictions)
                lines.append({"round": round, "load_before": load, **line})
                output.write(json.dumps(lines[-1]) + "\n")
                output.flush()
                print(f"round {round + 1}: {peer}: {line['tasks_per_second']:.3f} tasks/s", file=sys.stderr)
    print(table(sorted(lines, key=lambda line: [peer for peer, *_ in RUNS].index(line["peer"]))))


if __name__ == "__main__":
    main()
