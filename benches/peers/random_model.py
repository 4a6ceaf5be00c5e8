"""Writes a Qwen2.5 model of random weights, to time programs where the real weights can't be had.

    python random_model.py OUT.gguf --tokenizer DIR [--size 0.5b] [--seed 1]

DIR holds config-SIZE.json, tokenizer.json and tokenizer_config.json. Matrices are Q8_0, norms and biases F32. The
logits of all end tokens are 0, which a greedy answer never picks: every text runs to its limit.

Made with gguf 0.19.0, numpy 2.4.6.
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, TokenType

# llama.cpp ends an answer at these, whatever the metadata says.
END_TOKENS = ["<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
# Qwen2.5's own initializer_range; activations stay within float16.
STANDARD_DEVIATION = 0.02


def vocabulary(tokenizer, size):
    """Tokens and their types by id, padded to `size` the way llama.cpp's converter does."""
    tokens = [f"[PAD{id}]" for id in range(size)]
    types = [TokenType.UNUSED] * size
    for token, id in tokenizer["model"]["vocab"].items():
        tokens[id], types[id] = token, TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        control = added["special"] or added["content"].startswith("<|")
        tokens[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if control else TokenType.USER_DEFINED
    return tokens, types


def write_metadata(writer, config, folder):
    """Hyperparameters, vocabulary and chat template; returns the tokens."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens, types = vocabulary(tokenizer, config["vocab_size"])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]

    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(json.loads((folder / "tokenizer_config.json").read_text())["chat_template"])
    return tokens


def write_tensors(writer, config, tokens, seed):
    """Random matrices of the real shapes; the rows of end tokens are zero."""
    rng = np.random.default_rng(seed)
    hidden, feed_forward, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]

    def random(*shape):
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(STANDARD_DEVIATION)

    def add(name, matrix):
        quantised = gguf.quants.quantize(matrix, GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, quantised, raw_dtype=GGMLQuantizationType.Q8_0)

    def add_vocabulary(name):
        matrix = random(rows, hidden)
        matrix[[tokens.index(token) for token in END_TOKENS]] = 0
        add(name, matrix)

    add_vocabulary("token_embd.weight")
    for block in range(config["num_hidden_layers"]):
        shapes = {
            "attn_q": (hidden, hidden), "attn_k": (kv, hidden), "attn_v": (kv, hidden), "attn_output": (hidden, hidden),
            "ffn_gate": (feed_forward, hidden), "ffn_up": (feed_forward, hidden), "ffn_down": (hidden, feed_forward),
        }  # fmt: skip
        for name, shape in shapes.items():
            add(f"blk.{block}.{name}.weight", random(*shape))
        for name in ["attn_q", "attn_k", "attn_v"]:
            writer.add_tensor(f"blk.{block}.{name}.bias", random(shapes[name][0]))
        for name in ["attn_norm", "ffn_norm"]:
            writer.add_tensor(f"blk.{block}.{name}.weight", np.ones(hidden, dtype=np.float32))
    writer.add_tensor("output_norm.weight", np.ones(hidden, dtype=np.float32))
    if not config["tie_word_embeddings"]:
        add_vocabulary("output.weight")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", default="0.5b")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    config = json.loads((arguments.tokenizer / f"config-{arguments.size}.json").read_text())
    writer = gguf.GGUFWriter(arguments.out, "qwen2")
    writer.add_name(f"random-{arguments.size}")
    tokens = write_metadata(writer, config, arguments.tokenizer)
    write_tensors(writer, config, tokens, arguments.seed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
