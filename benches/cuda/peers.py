"""The same fine-tuning by transformers, PEFT and bitsandbytes, or by Unsloth: tokens a second and memory.

    python peers.py peft|unsloth CHECKPOINT [SEQUENCES] [STEPS]
"""
import sys
import time

which, path = sys.argv[1:3]
sequences = int(sys.argv[3]) if len(sys.argv) > 3 else 8
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 8
LENGTH = 1024
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA = dict(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=TARGETS)

began = time.time()
if which == "unsloth":
    from unsloth import FastLanguageModel
import torch

if which == "unsloth":
    model, _ = FastLanguageModel.from_pretrained(path, max_seq_length=LENGTH, dtype=torch.bfloat16, load_in_4bit=True)
    model = FastLanguageModel.get_peft_model(model, use_gradient_checkpointing="unsloth", **LORA)
else:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                   bnb_4bit_compute_dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(path, quantization_config=four_bits, dtype=torch.bfloat16, device_map=0)
    model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **LORA))
loaded = time.time() - began
model.train()
parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0, fused=True)
torch.manual_seed(0)
tokens = torch.randint(0, 150000, (sequences, LENGTH), device="cuda")
times = []
for step in range(steps):
    torch.cuda.synchronize()
    start = time.time()
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 0.3)
    optimizer.step()
    optimizer.zero_grad()
    torch.cuda.synchronize()
    times.append(time.time() - start)
# The first steps compile and warm up.
seconds = sorted(times[steps // 3:])[len(times[steps // 3:]) // 2]
free, total = torch.cuda.mem_get_info()
print(f"{which}: {sequences * LENGTH / seconds:.0f} tokens/s, {seconds:.3f} s a step, loaded in {loaded:.0f} s, "
      f"peak {torch.cuda.max_memory_reserved() / 1e9:.2f} GB reserved, {(total - free) / 1e9:.2f} GB of the device, "
      f"loss {loss.item():.3f}")
