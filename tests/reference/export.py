"""Writes what tests/export_reference.rs expects: export/NAME/ with a tiny random Qwen2 model, an adapter PEFT made, and
expected.json: what llama.cpp's converters make of them, and the logits of the merged model by transformers.

Made with Python 3.11.7, torch 2.11.0, transformers 5.23.0, peft 0.21.2, and the converters in the source package of
llama-cpp-python 0.3.36.

    python3 -m venv venv
    venv/bin/pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 sentencepiece
    venv/bin/pip download --no-binary :all: --no-deps llama-cpp-python==0.3.36    # and unpack it
    venv/bin/python tests/reference/export.py llama_cpp_python-0.3.36/vendor/llama.cpp
"""

import hashlib
import importlib.metadata
import json
import pathlib
import runpy
import shutil
import sys
import tempfile

LLAMA_CPP = pathlib.Path(sys.argv[1]).resolve()
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

import torch
from gguf import GGUFReader
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).parent / "export"
VERSIONS = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TOKENS = [3, 65, 77, 256, 270, 12, 9, 200, 31, 8, 141, 257]


def tokenizer(folder):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("a", "n"), ("Ġ", "d"), ("e", "r"), ("Ġd", "i"), ("k", "an"), ("Ġ", "k"), ("a", "h"), ("Ġdi", "k")]
    vocabulary = {text: index for index, text in enumerate(alphabet + ["".join(pair) for pair in merges])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    made.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    fast = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>", clean_up_tokenization_spaces=False)
    fast.chat_template = CHATML
    fast.save_pretrained(folder)


def convert(script, *arguments):
    """Runs one of the converters; a tokenizer this small is none of those it knows by their hash."""
    import conversion.base

    conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
    before, sys.argv = sys.argv, [script, *map(str, arguments)]
    runpy.run_path(str(LLAMA_CPP / script), run_name="__main__")
    sys.argv = before


def described(path):
    reader = GGUFReader(path)
    metadata = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    tensors = {}
    for tensor in reader.tensors:
        shape = [int(size) for size in tensor.shape]
        tensors[tensor.name] = {"shape": shape, "type": int(tensor.tensor_type), "sha256": hashlib.sha256(tensor.data.tobytes()).hexdigest()}
    return {"metadata": metadata, "tensors": tensors}


def make(name, tied, rslora, dtype):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(11)
    config = Qwen2Config(vocab_size=280, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=tied, initializer_range=0.3,
                         rope_parameters={"rope_theta": 1e6, "rope_type": "default"}, bos_token_id=264, eos_token_id=266)  # fmt: skip
    model = Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0 if parameter.mean() == 1 else 0.0, 0.2)
    base = folder / "base"
    model.to(dtype).save_pretrained(base)
    tokenizer(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    targets = ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=targets, use_rslora=rslora, task_type="CAUSAL_LM"))
    for key, parameter in tuned.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    tuned.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    expected = {"versions": {**VERSIONS, "llama-cpp-python": "0.3.36"}, "tokens": TOKENS, "models": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for outtype in ("f32", "f16", "bf16"):
            path = pathlib.Path(scratch) / f"{outtype}.gguf"
            convert("convert_hf_to_gguf.py", base, "--outtype", outtype, "--outfile", path)
            expected["models"][outtype] = described(path)
        path = pathlib.Path(scratch) / "lora.gguf"
        convert("convert_lora_to_gguf.py", folder / "adapter", "--base", base, "--outfile", path)
        reader = GGUFReader(path)
        expected["lora"] = {
            "metadata": {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")},
            "tensors": {tensor.name: {"shape": [int(size) for size in tensor.shape], "values": tensor.data.flatten().tolist()} for tensor in reader.tensors},
        }  # fmt: skip
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder / "adapter").merge_and_unload()
    with torch.no_grad():
        expected["logits"] = merged(torch.tensor([TOKENS])).logits[0].tolist()
    for path in (folder / "adapter" / "adapter_config.json",):
        text = json.loads(path.read_text())
        text["base_model_name_or_path"] = "base"
        path.write_text(json.dumps(text, indent=1))
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


make("tied", True, False, torch.bfloat16)
make("untied", False, True, torch.float16)
