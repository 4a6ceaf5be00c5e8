"""Writes a Hugging Face directory of a Qwen2 model with random bf16 weights, a shard every gigabyte.

    python random_checkpoint.py --config config.json --tokenizer DIR -o OUT
"""

import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file


def tensors(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    kv = config["num_key_value_heads"] * hidden // config["num_attention_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, out in [("q", hidden), ("k", kv), ("v", kv)]:
            yield f"{prefix}self_attn.{name}_proj.weight", (out, hidden)
            yield f"{prefix}self_attn.{name}_proj.bias", (out,)
        yield prefix + "self_attn.o_proj.weight", (hidden, hidden)
        for name, shape in [("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner))]:
            yield f"{prefix}mlp.{name}_proj.weight", shape
        yield prefix + "input_layernorm.weight", (hidden,)
        yield prefix + "post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (config["vocab_size"], hidden)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    config = json.loads(pathlib.Path(arguments.config).read_text())
    (output / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        source = pathlib.Path(arguments.tokenizer) / name
        if source.exists():
            shutil.copyfile(source, output / name)
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shard, size, number, weight_map = {}, 0, 1, {}

    def write():
        nonlocal shard, size, number
        name = f"model-{number:05}.safetensors"
        save_file(shard, output / name)
        weight_map.update(dict.fromkeys(shard, name))
        shard, size, number = {}, 0, number + 1

    for name, shape in tensors(config):
        values = torch.ones(shape) if "norm" in name else torch.randn(shape, device=device) * 0.02
        shard[name] = values.to(torch.bfloat16).cpu()
        size += 2 * values.numel()
        if size > 1 << 30:
            write()
    write()
    (output / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


if __name__ == "__main__":
    main()
