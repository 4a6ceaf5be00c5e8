"""Times another program on the prompts that reels made, and prints one line of JSON.

    python peers.py llama-cpp-python --reuse    --model M.gguf --predictions predictions.jsonl --reels 6
    python peers.py llama-cpp-python --no-reuse --model M.gguf --predictions predictions.jsonl --reels 3
    python peers.py llama-server --slots 8 --server llama-server --model M.gguf --predictions predictions.jsonl --reels 16

predictions.jsonl is what `reels predict` wrote; its prompts are used as they are, as token ids whose hash is checked.
Per Reel a text of exactly 96 greedy tokens, then two labels of at most 4 greedy tokens: what a user of these programs
would do. Loading and tokenising are not timed, and a warm-up comes first. Peak memory is VmHWM, in MiB: of this process
for llama-cpp-python (Python included), of the server for llama-server.

Measured with llama-cpp-python 0.3.36 (llama.cpp 0c1e57098, ggml 0.25.3) and a llama-server of the same commit on the
llama.cpp of llama-cpp-sys-2 0.1.161 (ggml 0.26.0).
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue

TASKS = ["summary", "category", "ad"]
TEXT_TOKENS = 96
LABEL_TOKENS = 4
BATCH = 512


def read_prompts(path):
    """Per Reel its predictions in the order of TASKS, Reels in the order of the file."""
    reels = {}
    for line in path.read_text().splitlines():
        prediction = json.loads(line)
        reels.setdefault(prediction["reel_id"], {})[prediction["task"]] = prediction
    return [[by_task[task] for task in TASKS] for by_task in reels.values()]


def checked(tokens, prediction):
    """The tokens, if they are what reels computed."""
    sha256 = hashlib.sha256(struct.pack(f"<{len(tokens)}I", *tokens)).hexdigest()
    if len(tokens) != prediction["tokens"]["prompt"] or sha256 != prediction["prompt_sha256"]:
        where = f"{prediction['reel_id']}, {prediction['task']}"
        raise SystemExit(f"{where}: {len(tokens)} tokens, or other ones than the {prediction['tokens']['prompt']} of reels")
    return tokens


def is_text(prediction):
    return prediction["label_logprobs"] is None


def peak_mib(process="self"):
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)


def report(peer, reels, seconds, peak, settings):
    count = len(reels)
    line = {
        "peer": peer,
        "reels": count,
        "seconds": round(seconds, 3),
        "reels_per_second": count / seconds,
        "tasks_per_second": count * len(TASKS) / seconds,
        "peak_mib": peak,
        "settings": settings,
    }
    print(json.dumps(line), flush=True)


def warm_up_and_timed(reels, count):
    """The last Reel of the file, which is not among the timed ones, and the first `count`."""
    if len(reels) <= count:
        raise SystemExit(f"{len(reels)} Reels in the file; {count} and one to warm up are needed")
    return reels[-1], reels[:count]


# llama-cpp-python


def run_llama_cpp_python(arguments):
    import llama_cpp

    reels = read_prompts(arguments.predictions)
    longest = max(prediction["tokens"]["prompt"] for reel in reels for prediction in reel)
    settings = {
        "n_ctx": longest + TEXT_TOKENS,
        "n_batch": BATCH,
        "n_ubatch": BATCH,
        "n_threads": arguments.threads,
        "n_threads_batch": arguments.threads,
        "flash_attn": arguments.flash_attention,
    }
    llama = llama_cpp.Llama(str(arguments.model), logits_all=False, verbose=False, **settings)

    def tokenise(prediction):
        tokens = llama.tokenize(prediction["prompt"].encode(), add_bos=False, special=True)
        return checked(tokens, prediction), is_text(prediction)

    def answer(reel):
        for tokens, text in reel:
            if not arguments.reuse:
                llama.reset()
            generated = llama.generate(tokens, temp=0.0)
            if text:
                # Going on behind an end token costs what suppressing it would.
                tokens = list(islice(generated, TEXT_TOKENS))
                assert len(tokens) == TEXT_TOKENS
            else:
                for token in islice(generated, LABEL_TOKENS):
                    if llama_cpp.llama_vocab_is_eog(llama._model.vocab, token):
                        break

    reels = [[tokenise(prediction) for prediction in reel] for reel in reels]
    warm_up, timed = warm_up_and_timed(reels, arguments.reels)
    answer(warm_up)
    started = time.perf_counter()
    for reel in timed:
        answer(reel)
    seconds = time.perf_counter() - started
    settings["version"] = llama_cpp.__version__
    report("llama-cpp-python, " + ("reuse" if arguments.reuse else "no reuse"), timed, seconds, peak_mib(), settings)


# llama-server


def request(connection, path, body=None):
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status} {content[:500].decode(errors='replace')}")
    return json.loads(content)


@contextlib.contextmanager
def server(command):
    """A running server as (process id, function that opens a connection); it is killed after."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*command, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def connect():
        return http.client.HTTPConnection("127.0.0.1", port)

    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {process.returncode}: {' '.join(command)}")
            with contextlib.suppress(OSError, RuntimeError):
                request(connect(), "/health")
                break
            time.sleep(0.1)
        yield process.pid, connect
    finally:
        process.kill()
        process.wait()


def run_llama_server(arguments):
    reels = read_prompts(arguments.predictions)
    longest = max(prediction["tokens"]["prompt"] for reel in reels for prediction in reel)
    slots, threads = str(arguments.slots), str(arguments.threads)
    # 0 for --cache-ram: copying slots aside for later costs time here and is never of use.
    flags = ["-np", slots, "-c", str(arguments.slots * (longest + TEXT_TOKENS + BATCH // 2)), "-b", str(arguments.batch)]
    flags += ["-ub", str(BATCH), "-t", threads, "-tb", threads, "-fa", "on" if arguments.flash_attention else "off"]
    flags += ["--cache-ram", "0", *arguments.flag]

    with server([str(arguments.server), "-m", str(arguments.model), *flags]) as (pid, connect):

        def tokenise(connection, prediction):
            body = {"content": prediction["prompt"], "add_special": False, "parse_special": True}
            return checked(request(connection, "/tokenize", body)["tokens"], prediction), is_text(prediction)

        def answer(connection, slot, reel):
            """How many prompt tokens were computed."""
            computed = 0
            for tokens, text in reel:
                body = {
                    "prompt": tokens,
                    "n_predict": TEXT_TOKENS if text else LABEL_TOKENS,
                    "ignore_eos": text,
                    "cache_prompt": True,
                    "temperature": 0,
                    "samplers": ["top_k"],
                    "top_k": 1,
                }
                if arguments.pin:
                    body["id_slot"] = slot
                result = request(connection, "/completion", body)
                assert not text or result["tokens_predicted"] == TEXT_TOKENS, result["tokens_predicted"]
                computed += result["timings"]["prompt_n"]
            return computed

        computed = []

        def client(slot, queue):
            connection = connect()
            with contextlib.suppress(Empty):
                while True:
                    computed.append(answer(connection, slot, queue.get_nowait()))

        def run(reels):
            queue = SimpleQueue()
            for reel in reels:
                queue.put(reel)
            clients = [threading.Thread(target=client, args=(slot, queue)) for slot in range(arguments.slots)]
            for thread in clients:
                thread.start()
            for thread in clients:
                thread.join()

        connection = connect()
        reels = [[tokenise(connection, prediction) for prediction in reel] for reel in reels]
        warm_up, timed = warm_up_and_timed(reels, arguments.reels)
        # Every slot once, so that all of them hold the system prompt.
        run([warm_up] * arguments.slots)
        computed.clear()
        started = time.perf_counter()
        run(timed)
        seconds = time.perf_counter() - started
        if len(computed) != len(timed):
            raise SystemExit("a client failed")
        settings = {"flags": flags, "id_slot": arguments.pin, "prompt_tokens_computed": sum(computed)}
        report(f"llama-server, {slots} slots", timed, seconds, peak_mib(pid), settings)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    peers = parser.add_subparsers(required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--model", type=Path, required=True, metavar="M.gguf")
    common.add_argument("--predictions", type=Path, required=True, metavar="F.jsonl")
    common.add_argument("--reels", type=int, required=True, metavar="N")
    common.add_argument("--threads", type=int, default=2)
    common.add_argument("--flash-attention", action=argparse.BooleanOptionalAction, default=True)

    python = peers.add_parser("llama-cpp-python", parents=[common])
    python.add_argument("--reuse", action=argparse.BooleanOptionalAction, default=True)
    python.set_defaults(run=run_llama_cpp_python)

    http_server = peers.add_parser("llama-server", parents=[common])
    http_server.add_argument("--server", type=Path, required=True, metavar="PROGRAM")
    http_server.add_argument("--slots", type=int, required=True, metavar="S")
    http_server.add_argument("--batch", type=int, default=2048, help="the server's own default is 2048")
    http_server.add_argument("--pin", action=argparse.BooleanOptionalAction, default=True, help="one slot per client")
    http_server.add_argument("--flag", action="append", default=[], help="more for the server, e.g. --flag=-kvu")
    http_server.set_defaults(run=run_llama_server)

    arguments = parser.parse_args()
    # So that the server is killed when this process is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments.run(arguments)


if __name__ == "__main__":
    main()
