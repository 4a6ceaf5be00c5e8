"""Writes what tests/adapter_reference.rs expects: adapters/NAME/ with an adapter as PEFT saves it for the tiny model
export/tied/base, a setting each; adapters/merged-NAME/ with what PEFT makes of adapters that are more than low-rank changes of
linear maps; and expected.json: logits of base and adapter by PEFT at two positions.

Made with Python 3.11.7, torch 2.11.0, transformers 5.23.0, peft 0.21.2.

    python3 -m venv venv
    venv/bin/pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2
    venv/bin/python tests/reference/adapters.py
"""

import importlib.metadata
import json
import pathlib
import shutil
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent / "adapters"
BASE = pathlib.Path(__file__).parent / "export/tied/base"
TOKENS = [3, 65, 77, 256, 270, 12, 9, 200, 31, 8, 141, 257]
POSITIONS = [5, 11]
Q, V, UP, DOWN = "q_proj", "v_proj", "up_proj", "down_proj"

# What is read here.
ACCEPTED = {
    "rank-stabilised": {"use_rslora": True},
    "rank-pattern": {"rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\..*": 6}},
    "alpha-pattern": {"alpha_pattern": {r"0\.self_attn\.v_proj": 9, "model.layers.1.mlp.down_proj": 1}},
    "both-patterns-rank-stabilised": {"rank_pattern": {Q: 2}, "alpha_pattern": {"^model.layers.0.*": 16, Q: 3}, "use_rslora": True},
    "all-linear": {"target_modules": "all-linear"},
    "regex": {"target_modules": r".*\.(0\.self_attn\.[qo]|1\.mlp\.(up|gate))_proj"},
    "whole-names": {"target_modules": ["model.layers.1.self_attn.o_proj", "model.layers.0.mlp.gate_proj", V]},
    "some-layers": {"layers_to_transform": [1]},
    "one-layer": {"layers_to_transform": 0, "layers_pattern": "layers"},
    "excluded": {"exclude_modules": ["layers.0.self_attn.q_proj", "v_proj"]},
    "excluded-regex": {"exclude_modules": r".*layers\.1\..*"},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "not-initialised": {"init_lora_weights": False},
    "dropout": {"lora_dropout": 0.3},
}
# What is refused, with the way out: PEFT merges it.
REFUSED = {
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
    "dora": {"use_dora": True},
    "own-head": {"modules_to_save": ["lm_head"]},
}


def base():
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)


def logits(model):
    with torch.no_grad():
        rows = model(torch.tensor([TOKENS])).logits[0]
    return [[round(value, 6) for value in rows[position].tolist()] for position in POSITIONS]


def make(name, settings):
    torch.manual_seed(5)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    settings = {"target_modules": [Q, V, UP, DOWN], **settings}
    tuned = get_peft_model(base(), LoraConfig(r=4, lora_alpha=6, task_type="CAUSAL_LM", **settings))
    for key, parameter in tuned.named_parameters():
        if "lora_B" in key or "modules_to_save" in key:
            with torch.no_grad():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    text = json.loads(path.read_text())
    text["base_model_name_or_path"] = "base"
    path.write_text(json.dumps(text, indent=1))
    return PeftModel.from_pretrained(base(), folder)


shutil.rmtree(HERE, ignore_errors=True)
expected = {"versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}, "tokens": TOKENS, "positions": POSITIONS}
expected["base"] = logits(base())
expected["adapters"] = {name: logits(make(name, settings)) for name, settings in ACCEPTED.items()}
expected["merged"] = {}
for name, settings in REFUSED.items():
    model = make(name, settings)
    expected["merged"][name] = logits(model)
    model.merge_and_unload().save_pretrained(HERE / f"merged-{name}")
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(BASE / file, HERE / f"merged-{name}")
# The same, where the configuration says that the embedding is the head: transformers 5 uses the head that is there.
with tempfile.TemporaryDirectory() as scratch:
    said_tied = shutil.copytree(HERE / "merged-own-head", pathlib.Path(scratch) / "base")
    config = json.loads((said_tied / "config.json").read_text())
    (said_tied / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    expected["own_head_said_tied"] = logits(AutoModelForCausalLM.from_pretrained(said_tied, dtype=torch.float32))
(HERE / "expected.json").write_text(json.dumps(expected) + "\n")
