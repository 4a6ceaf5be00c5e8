"""Writes the expected values of tests/nf4_reference.rs: nf4.json, and bnb-4bit.safetensors, weights as bitsandbytes stores
them.

Made with Python 3.11.7, bitsandbytes 0.50.2, torch 2.11.0 on a CPU (the file records what it was made with).

    python3 -m venv venv
    venv/bin/pip install torch==2.11.0 bitsandbytes==0.50.2 safetensors==0.8.0
    venv/bin/python tests/reference/nf4.py

The values quantised are not stored: both sides make them from `values`.
"""

import hashlib
import importlib.metadata
import json
import pathlib

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
VERSIONS = {name: importlib.metadata.version(name) for name in ("bitsandbytes", "torch")}


def values(count, seed):
    """Numbers that 32-bit floats hold exactly, of changing size, about normal: sums of four 8-bit fractions."""
    made = []
    state = seed
    for index in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        fractions = sum((state >> shift & 0xFF) - 127.5 for shift in (0, 8, 16, 24)) / 256
        made.append(fractions * 2.0 ** (index // 977 % 7 - 3))
    return torch.tensor(made, dtype=torch.float32)


def words(tensor):
    """32-bit floats by their bits."""
    return tensor.contiguous().view(torch.int32).flatten().tolist()


def case(count, seed, dtype):
    data = values(count, seed).to(dtype)
    packed, state = bnb.quantize_4bit(data, blocksize=64, quant_type="nf4")
    nested_packed, nested = bnb.quantize_4bit(data, blocksize=64, quant_type="nf4", compress_statistics=True)
    assert torch.equal(packed, nested_packed)
    back = bnb.dequantize_4bit(nested_packed, nested)
    plain_back = bnb.dequantize_4bit(packed, state)
    return {
        "count": count,
        "seed": seed,
        "dtype": str(dtype).removeprefix("torch."),
        "packed_sha256": hashlib.sha256(packed.flatten().numpy().tobytes()).hexdigest(),
        "packed_start": packed.flatten()[:32].tolist(),
        "absmax": words(state.absmax),
        "nested_codes": nested.absmax.tolist(),
        "nested_absmax": words(nested.state2.absmax),
        "offset": words(nested.offset)[0],
        "plain_sha256": hashlib.sha256(plain_back.float().flatten().numpy().tobytes()).hexdigest(),
        "nested_sha256": hashlib.sha256(back.float().flatten().numpy().tobytes()).hexdigest(),
    }


def stored(name, shape, seed, nested):
    """A weight's tensors by name, and the hash of what it stands for."""
    packed, state = bnb.quantize_4bit(values(shape[0] * shape[1], seed).reshape(shape), blocksize=64, quant_type="nf4", compress_statistics=nested)
    back = bnb.dequantize_4bit(packed, state).float()
    tensors = {name: packed} | {f"{name}.{part}": tensor for part, tensor in state.as_dict(packed=True).items()}
    return tensors, hashlib.sha256(back.flatten().numpy().tobytes()).hexdigest()


def main():
    shapes = [(64, 1, torch.float32), (38400, 2, torch.float32), (100_096, 3, torch.float32), (38400, 4, torch.bfloat16), (38400, 5, torch.float16)]
    plain, plain_hash = stored("plain.weight", (32, 128), 6, False)
    nested, nested_hash = stored("nested.weight", (192, 128), 7, True)
    save_file(plain | nested, HERE / "bnb-4bit.safetensors")
    checkpoint = {"plain.weight": plain_hash, "nested.weight": nested_hash}
    text = json.dumps({"versions": VERSIONS, "checkpoint": checkpoint, "map": words(bnb.create_dynamic_map()), "cases": [case(*shape) for shape in shapes]})
    (HERE / "nf4.json").write_text(text.replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
