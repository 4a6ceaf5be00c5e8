"""Conversations that each fill a sequence of 1,024 tokens, nearly all of them learned.

    python texts.py TOKENIZER.json OUT.jsonl
"""

import json
import random
import sys

from tokenizers import Tokenizer

WORDS = "beli kopi susu gula aren di kedai baru dekat stasiun pagi ini hujan deras jalan macet".split()

tokenizer = Tokenizer.from_file(sys.argv[1])
random.seed(0)
with open(sys.argv[2], "w") as out:
    for line in range(400):
        tokens = tokenizer.encode(" ".join(random.choices(WORDS, k=1200))).ids
        # What the chat template adds takes the rest.
        answer = {"role": "assistant", "content": tokenizer.decode(tokens[:980])}
        messages = [{"role": "user", "content": "Lanjutkan."}, answer]
        out.write(json.dumps({"id": f"t{line}", "messages": messages}) + "\n")
