"""A checkpoint of Qwen2.5-7B's shape with random weights, and text that fills sequences of 1,024 tokens.

    python checkpoint.py TOKENIZER_DIR OUT [LAYERS]
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

source, out, layers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 28
hidden, intermediate, vocabulary, kv = 3584, 18944, 152064, 512
out.mkdir(parents=True, exist_ok=True)
for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(source / name, out / name)
(out / "config.json").write_text(json.dumps({
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "torch_dtype": "bfloat16",
    "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
    "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768, "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "initializer_range": 0.02, "use_sliding_window": False,
}))
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)


def matrix(*shape):
    return (torch.randn(*shape, device=device, dtype=torch.bfloat16) * 0.02).cpu()


index = {}


def write(number, tensors):
    name = f"model-{number:05}-of-{layers + 2:05}.safetensors"
    save_file(tensors, out / name, metadata={"format": "pt"})
    index.update(dict.fromkeys(tensors, name))


write(1, {"model.embed_tokens.weight": matrix(vocabulary, hidden)})
for layer in range(layers):
    prefix = f"model.layers.{layer}."
    shapes = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (kv, hidden), "self_attn.v_proj": (kv, hidden),
              "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (intermediate, hidden),
              "mlp.up_proj": (intermediate, hidden), "mlp.down_proj": (hidden, intermediate)}
    tensors = {f"{prefix}{name}.weight": matrix(*shape) for name, shape in shapes.items()}
    for name in ("q", "k", "v"):
        tensors[f"{prefix}self_attn.{name}_proj.bias"] = matrix(shapes[f"self_attn.{name}_proj"][0])
    for name in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"{prefix}{name}.weight"] = torch.ones(hidden, dtype=torch.bfloat16)
    write(layer + 2, tensors)
write(layers + 2, {"model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16), "lm_head.weight": matrix(vocabulary, hidden)})
(out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))

# A text of as many tokens as fit a sequence beside what the chat template adds.
tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
words = "beli kopi susu gula aren di kedai baru dekat stasiun pagi ini hujan deras jalan macet".split()
generator = torch.Generator().manual_seed(0)
with open(out / "data.jsonl", "w") as data:
    for line in range(400):
        picked = [words[i] for i in torch.randint(len(words), (1200,), generator=generator)]
        text = tokenizer.decode(tokenizer.encode(" ".join(picked)).ids[:990])
        messages = [{"role": "user", "content": "Lanjutkan."}, {"role": "assistant", "content": text}]
        data.write(json.dumps({"id": f"t{line}", "messages": messages}) + "\n")
