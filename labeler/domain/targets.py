"""What a version can go out as: for which program, in a few words."""

TARGETS = {
    "adapter": "the LoRA adapter, for peft",
    "merged": "a model that needs no adapter, for transformers and vLLM",
    "gguf": "GGUF files in f16 and q8_0, for llama.cpp",
    "ollama": "a GGUF file in f16 with a Modelfile, for Ollama",
    "mlx": "the LoRA adapter, for mlx-lm",
    "vllm": "the LoRA adapter, for vLLM",
}
