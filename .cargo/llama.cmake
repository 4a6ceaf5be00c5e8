# Read by llama.cpp's CMakeLists.txt when llama-cpp-sys-2 builds it (see config.toml). The bindings ask for llama.cpp's
# `common`, which is 52 of its 128 objects and nothing of which is linked here.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
