"""Writes what tests/train_reference.rs expects: train/NAME/ with a tiny random Qwen2 model, an adapter PEFT made, and
expected.json: logits, gradients, and thirty steps of AdamW.

Made with Python 3.11.7, torch 2.11.0, transformers 5.23.0, peft 0.21.2 (the files record what they were made with).

    python3 -m venv venv
    venv/bin/pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2
    venv/bin/python tests/reference/train.py
"""

import importlib.metadata
import json
import pathlib
import shutil

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).parent / "train"
VERSIONS = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STEPS = 30


def batch(step):
    """Tokens and where the answer starts."""
    generator = torch.Generator().manual_seed(1000 + step)
    length = 7 + step % 5
    return torch.randint(0, 61, (length,), generator=generator).tolist(), 3 + step % 2


def loss_of(model, tokens, answer_at):
    """Sum over the answer's tokens, divided by their number."""
    logits = model(torch.tensor([tokens])).logits[0]
    targets = torch.tensor(tokens[answer_at:])
    return torch.nn.functional.cross_entropy(logits[answer_at - 1 : -1], targets)


def make(name, tied, rslora):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(7)
    config = Qwen2Config(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=tied,
                         rope_parameters={"rope_theta": 1e6, "rope_type": "default"}, initializer_range=0.3)  # fmt: skip
    model = Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0 if parameter.mean() == 1 else 0.0, 0.2)
    model.save_pretrained(folder / "base")
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=TARGETS, use_rslora=rslora,
                                             task_type="CAUSAL_LM"))  # fmt: skip
    # B starts at 0, where half of the gradients are 0.
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)

    model.train()
    tokens, answer_at = batch(0)
    logits = model(torch.tensor([tokens])).logits[0]
    loss = loss_of(model, tokens, answer_at)
    loss.backward()
    trained = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = {key.removeprefix("base_model.model.").replace(".default", ""): parameter.grad.flatten().tolist() for key, parameter in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0.1)
    steps = []
    for step in range(STEPS):
        optimizer.zero_grad()
        tokens, answer_at = batch(step)
        step_loss = loss_of(model, tokens, answer_at)
        step_loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 0.3)
        optimizer.step()
        steps.append([step_loss.item(), norm.item()])
    batches = [batch(step) for step in range(STEPS)]
    expected = {"versions": VERSIONS, "logits": logits.flatten().tolist(), "loss": loss.item(), "gradients": gradients,
                "batches": batches, "steps": steps}  # fmt: skip
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    make("tied", True, False)
    make("untied", False, True)
