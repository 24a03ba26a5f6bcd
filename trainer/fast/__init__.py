"""Kernels, each with a plain twin that is used where it does not apply.

They and the sampler use names that torch and transformers keep to themselves, and may change
without a word. `PRIVATE_NAMES` has every one, with the modules that use it.
"""

PRIVATE_NAMES = {
    "torch.ops.mkldnn._is_mkldnn_bf16_supported": ["trainer.fast.matmul"],
    "torch.ops.mkldnn._linear_pointwise": ["trainer.fast.matmul"],
    "torch.ops.mkldnn._reorder_linear_weight": ["trainer.fast.matmul"],
    "torch._softmax_backward_data": ["trainer.fast.attention"],
    "transformers.PreTrainedConfig._attn_implementation": [
        "trainer.fast.attention",
        "trainer.fast.checkpoints",
        "trainer.sampling.decoding",
    ],
    "transformers.PreTrainedModel._is_stateful": ["trainer.sampling.decoding"],
    "transformers.PreTrainedModel._supports_attention_backend": ["trainer.sampling.decoding"],
}
