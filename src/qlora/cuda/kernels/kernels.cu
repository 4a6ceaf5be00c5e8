// All kernels, as one module.
#include "attention.cu"
#include "rows.cu"
#include "weights.cu"

#define KERNEL_LIST(EACH)                                                                                              \
    EACH(attention_64), EACH(attention_128), EACH(attention_dots_64), EACH(attention_dots_128),                        \
        EACH(attention_queries_64), EACH(attention_queries_128), EACH(attention_keys_64), EACH(attention_keys_128),    \
        EACH(gather_rows), EACH(sum_rows), EACH(rms_norm), EACH(rms_norm_backward), EACH(turn), EACH(swiglu),          \
        EACH(swiglu_backward), EACH(drop_out), EACH(quantise), EACH(dequantise), EACH(place), EACH(adamw),             \
        EACH(squares), EACH(cross_entropy)
