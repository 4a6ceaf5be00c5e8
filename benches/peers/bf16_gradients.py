"""How far gradients in bf16 are from those in 32 bits with transformers and PEFT, relative to their norm, in a random model
of the shape that tests/cuda.rs has.

    python bf16_gradients.py
"""

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

TARGETS = ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

torch.manual_seed(0)
config = Qwen2Config(
    vocab_size=330, hidden_size=128, intermediate_size=200, num_hidden_layers=3, num_attention_heads=2,
    num_key_value_heads=1, rope_theta=1e4, tie_word_embeddings=False, max_position_embeddings=512,
)
lora = LoraConfig(r=12, lora_alpha=24, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
model = get_peft_model(Qwen2ForCausalLM(config), lora)
with torch.no_grad():
    for name, parameter in model.named_parameters():
        spread = 0.05 if "lora" in name else 0.15
        low, high = (0.8, 1.2) if "norm" in name else (-spread, spread)
        parameter.uniform_(low, high)
        parameter.copy_(parameter.bfloat16().float())
tokens = torch.randint(0, 330, (1, 165))


def gradients(model):
    model.zero_grad()
    model(input_ids=tokens, labels=tokens).loss.backward()
    return {name: each.grad.float().clone() for name, each in model.named_parameters() if each.grad is not None}


exact, rounded = gradients(model), gradients(model.to(torch.bfloat16))
off = sorted(((exact[name] - rounded[name]).norm() / exact[name].norm()).item() for name in exact)
print(f"least {off[0]:.4f}, median {off[len(off) // 2]:.4f}, most {off[-1]:.4f} of {len(off)}")
