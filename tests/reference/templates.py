"""Writes templates.json: chat templates as models have them, with what transformers makes of them.

Made with Python 3.11.7, transformers 5.23.0, jinja2 3.1.6.

    python3 -m venv venv
    venv/bin/pip install transformers==5.23.0 jinja2
    venv/bin/python tests/reference/templates.py
"""

import importlib.metadata
import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
MESSAGES = [{"role": "system", "content": "Ringkas Reel ini."}, {"role": "user", "content": " Soto ayam\nkuah kuning "}]
TURN = "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TEMPLATES = {
    "generation": """{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}{% generation %}{{- message.content + '<|im_end|>' }}{% endgeneration %}{{- '\\n' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}""",
    "generation of every turn": "{% for message in messages %}\n  {% generation %}\n" + TURN + "  {%- endgeneration -%}\n\n{% endfor %}\n" + PROMPT,
    "no tools": "{% if tools is defined and tools is not none %}tools{% endif %}{% if not tools %}none;{% endif %}{% for message in messages %}" + TURN + "{% endfor %}" + PROMPT,
    "set where missing": "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{%- if not documents %}{%- set documents = [] %}{%- endif %}{% for message in messages %}" + TURN + "{% endfor %}{{ documents | length }}" + PROMPT,
    "thinking": "{% for message in messages %}" + TURN + "{% endfor %}" + PROMPT + "{%- if enable_thinking is defined and enable_thinking is false %}\n{{- '<think>\\n\\n</think>\\n\\n' }}\n{%- endif %}",
    "special tokens": "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "python": "{%- set ns = namespace(seen=0) %}{% for message in messages %}{% set ns.seen = ns.seen + 1 %}{% if loop.first %}[{{ message['content'].strip().split(' ')[-1].upper() }}]{% elif message.content.startswith(' ') %}{{ message.content.rstrip().replace('\\n', '/') }}{% endif %}{{ loop.index0 }}{{ message['content'] }}{% endfor %}{{ ns.seen }}{{ messages[-1]['content'][1:5] }}{{ {'a': [1, true]} | tojson }}" + PROMPT,
    "loop controls": "{% for message in messages %}{% if message.role == 'none' %}{% continue %}{% endif %}" + TURN + "{% if loop.last %}{% break %}{% endif %}{% endfor %}" + PROMPT,
    "macros": "{% macro turn(role, text) -%}\n<{{ role }}>{{ text }}</{{ role }}>\n{%- endmacro %}{% for message in messages %}{{ turn(message.role, message.content) }}{% endfor %}" + PROMPT,
}


def rendered(template):
    texts, _ = render_jinja_template(conversations=[MESSAGES], chat_template=template, add_generation_prompt=True, enable_thinking=False, bos_token="<s>", eos_token="</s>")
    return texts[0]


made = {name: {"template": template, "rendered": rendered(template)} for name, template in TEMPLATES.items()}
versions = {name: importlib.metadata.version(name) for name in ("transformers", "jinja2")}
(HERE / "templates.json").write_text(json.dumps({"versions": versions, "messages": MESSAGES, "templates": made}, ensure_ascii=False, indent=1) + "\n")
