# make eval: build, evaluate the bundled model on the bundled sample; its last line says where the report is.
# make test: everything a change must pass.
# Both use one build profile (dev, with optimised dependencies), so that llama.cpp is compiled once.

.PHONY: eval test lint tools bundled-model

eval: tools
	cargo run --quiet -- eval --model gguf/reels-mini.gguf

test: tools
	cargo test

lint: tools
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

# What compiling llama.cpp takes beyond Rust, gcc and make.
tools:
	@./tools/build-tools.sh

# Rebuilds the bundled model, in about 75 minutes: INDOSUM names the folder with train.jsonl and dev.jsonl of IndoSum as records.
bundled-model: tools
	./tools/bundled-model.sh
