// Puts our kernels into ggml's CPU backend, at the place where it asks other matrix libraries first.

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "traits.h"

extern "C" {
// In mod.rs.
bool   reels_takes(const ggml_tensor * op);
size_t reels_work_bytes(const ggml_tensor * op, int threads);
void   reels_compute(const ggml_tensor * op, int thread, int threads, void * work, ggml_threadpool * pool);
}

namespace {

class kernels : public ggml::cpu::tensor_traits {
    bool work_size(int threads, const ggml_tensor * op, size_t & size) override {
        size = reels_work_bytes(op, threads);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        reels_compute(op, params->ith, params->nth, params->wdata, params->threadpool);
        return true;
    }
};

class chooser : public ggml::cpu::extra_buffer_type {
    kernels ours;

    // No tensor lives in a buffer of this type.
    bool supports_op(ggml_backend_dev_t, const ggml_tensor *) override { return false; }

    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override {
        return reels_takes(op) ? &ours : nullptr;
    }
};

}  // namespace

extern "C" void reels_install_kernels() {
    static chooser                  choice;
    static ggml_backend_buffer_type type = {};
    type.context = &choice;
    // ggml copies the list of buffer types for weights on the first call; ours, added later, only serves to compute.
    auto weight_buffer_types = (ggml_backend_dev_get_extra_bufts_t) ggml_backend_reg_get_proc_address(
        ggml_backend_cpu_reg(), "ggml_backend_dev_get_extra_bufts");
    weight_buffer_types(nullptr);
    ggml_backend_cpu_get_extra_buffer_types().push_back(&type);
}
