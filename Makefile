# make eval: build, evaluate the bundled model on the bundled sample; its last line says where the report is.
# make lint, make test, make test-cuda: what a change must pass.
# All use one build profile (dev, with optimised dependencies), so that llama.cpp is compiled once.

.PHONY: eval test test-cuda lint tools bundled-model

eval: tools
	@./tools/build.sh
	cargo run --quiet -- eval --model gguf/reels-mini.gguf

# Without a browser, tests of pages say that they skipped; without servers, tests of hosted models do.
test: tools
	-@./tools/test-tools.sh
	cargo test

# Training on a GPU that is emulated, by a build for CUDA. Takes nvcc, from PyPI where there is none.
test-cuda: tools
	./tools/test-cuda.sh

CLIPPY = REELS_NO_PTX=1 cargo clippy
PLAIN = $(CLIPPY) --no-default-features
DENY = -- -D warnings

# Licences and origins of what is built on; each set of features that can be chosen (cuda brings train); links in documentation.
# What is neither library nor program is the same under train and cuda. infer alone is checked beside candle, which layers.rs
# keeps out of what infer brings: without it bindgen would be another one, and llama.cpp compiled again.
lint: tools
	cargo fmt --check
	./tools/deny.sh
	$(PLAIN) --all-targets $(DENY)
	$(PLAIN) --features train $(DENY)
	$(PLAIN) --features cuda --all-targets $(DENY)
	$(PLAIN) --features infer,candle-core/default --all-targets $(DENY)
	$(CLIPPY) --all-targets $(DENY)
	$(CLIPPY) --features cuda $(DENY)
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# What compiling llama.cpp takes beyond Rust, gcc and make.
tools:
	@./tools/build-tools.sh

# Rebuilds the bundled model, in about 75 minutes: INDOSUM names the folder with train.jsonl and dev.jsonl of IndoSum as records.
bundled-model: tools
	./tools/bundled-model.sh
