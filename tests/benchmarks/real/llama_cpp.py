"""llama.cpp as a sampler: `python -m tests.benchmarks.real.llama_cpp`, a process of its own.

Its server in this process, without a network: as many requests at once as it has slots, two to each
prompt, which is read once where its cache still has it. Prints what it measured as JSON.

The weights are those that ours has, in Q8_0: the GGUF file that the policy comes in, with each
matrix quantised anew. The wheel on PyPI is built for AVX2; what it uses is said with the figures.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gguf import (
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
    dequantize,
    quantize,
)

from tests.benchmarks.processes import measured_alone

ROOM = 64  # tokens of a slot beyond prompt and reply


def quantised(source: Path, target: Path) -> Path:
    """The same model with every matrix in Q8_0, and vectors in float32."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind is GGUFValueType.ARRAY else None
        value = field.contents()
        if field.name == "general.file_type":
            value = LlamaFileType.MOSTLY_Q8_0
        writer.add_key_value(field.name, value, kind, sub_type=inner)
    packing = GGMLQuantizationType.Q8_0
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type)
        if len(tensor.shape) == 1:
            writer.add_tensor(tensor.name, weight.reshape(-1))
        else:
            writer.add_tensor(tensor.name, quantize(weight, packing), raw_dtype=packing)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def alone(work: Path, *, prompts: int, **values: object) -> dict[str, Any]:
    """One run in a process of its own, on the first `prompts` of those in the folder."""
    words = ["--work", str(work), "--prompts", str(prompts)]
    words += [str(word) for name, value in values.items() for word in (f"--{name}", value)]
    return measured_alone("tests.benchmarks.real.llama_cpp", words)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Useful tokens a second, after a warm-up of one request a slot."""
    import xllamacpp

    rows = json.loads((options.work / "prompts.json").read_text())[: options.prompts]
    params = xllamacpp.CommonParams()
    params.model.path = str(options.work / "q8_0.gguf")
    params.n_parallel = options.slots
    params.n_ctx = options.slots * (max(map(len, rows)) + options.tokens + ROOM)
    params.kv_unified = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.flash_attn_type = getattr(
        xllamacpp.llama_flash_attn_type,
        "LLAMA_FLASH_ATTN_TYPE_" + ("ENABLED" if options.flash else "DISABLED"),
    )
    params.verbosity = 0
    server = xllamacpp.Server(params)

    def reply(seed: int, prompt: list[int], limit: int) -> int:
        said = server.handle_completions(
            {
                "prompt": prompt,
                "n_predict": limit,
                "temperature": options.temperature,
                "top_p": options.top_p,
                "samplers": ["top_p", "temperature"],
                "seed": seed,
            }
        )
        return int(said["usage"]["completion_tokens"])

    jobs = [row for row in rows for _ in range(options.copies)]
    with ThreadPoolExecutor(options.slots) as pool:
        list(pool.map(lambda row: reply(0, row, 2), jobs[: options.slots]))
        begin = time.perf_counter()
        tokens = sum(pool.map(reply, range(len(jobs)), jobs, [options.tokens] * len(jobs)))
        seconds = time.perf_counter() - begin
    used = [part.strip() for part in xllamacpp.get_system_info().split("|")]
    build = " ".join(part.split(" = ")[0].split(" : ")[-1] for part in used if "= 1" in part)
    return {"tokens_per_second": tokens / seconds, "build": build}


def main() -> None:
    """Be one run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of prompts and weights")
    parser.add_argument("--prompts", type=int, required=True)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--flash", type=int, choices=(0, 1), default=1, help="flash attention")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--top_p", type=float, default=0.9)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
