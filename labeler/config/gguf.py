"""What a GGUF file says of itself: its metadata and the table of its tensors, not their data.

    magic, version, counts | key, type, value | name, dimensions, type, offset | data

Reading this takes no model library, so a file that can be no policy is refused before the start.
The vocabulary, which most of the metadata is, is passed over: only its size is told.
"""

import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput, first_line

VERSIONS = (2, 3)
# Metadata of a fixed size, by their type: integers, a float, a truth value.
NUMBERS = {
    **{0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i"},
    **{6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"},
}
STRING, ARRAY = 8, 9
ALIGNMENT = 32  # bytes, unless the file says otherwise


@dataclass(frozen=True)
class Content:
    """What a file says of itself: `tensors` by name with their sizes, most of them `packing`."""

    file: Path
    metadata: dict[str, Any]
    packing: str
    tensors: dict[str, int]

    @property
    def weights(self) -> int:
        """How many weights there are."""
        return sum(self.tensors.values())

    def token(self, name: str) -> int | None:
        """The id of a special token, such as eos."""
        return self.metadata.get(f"tokenizer.ggml.{name}_token_id")


def read_content(file: Path) -> Content:
    """What the file says of itself. Raises BadInput if it can be no policy."""
    from gguf import GGMLQuantizationType

    try:
        with file.open("rb") as opened:
            reader = _Reader(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
            metadata, weights, tensors, size = reader.read()
        packing = GGMLQuantizationType(max(weights, key=lambda kind: weights[kind], default=0)).name
    except (OSError, ValueError, RecursionError, ArithmeticError, struct.error) as error:
        raise BadInput(f"The GGUF file '{file}' is damaged: {first_line(error)}.") from error
    here = file.stat().st_size
    if here < size:
        raise BadInput(
            f"The GGUF file '{file}' is cut short: it has {here:,} bytes of {size:,}; copy or "
            "download it again."
        )
    if metadata.get("split.count", 1) > 1:
        raise BadInput(
            f"The GGUF file '{file}' is one of {metadata['split.count']} parts; join them with "
            "llama.cpp's `llama-gguf-split --merge`."
        )
    if not metadata.get("tokenizer.chat_template"):
        raise BadInput(
            f"The GGUF file '{file}' has no chat template; use one of an instruction-tuned model."
        )
    return Content(file, metadata, packing, tensors)


class _Reader:
    """Goes through the bytes of a file from the front."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._place = 4  # after the magic bytes

    def read(self) -> tuple[dict[str, Any], Counter[int], dict[str, int], int]:
        """The metadata, the weights of each type and of each tensor, and a whole file's bytes."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        version, tensors, keys = self._number("<I"), self._number("<Q"), self._number("<Q")
        if version not in VERSIONS:
            raise ValueError(f"its version is {version}")
        metadata = {self._string(): self._value(self._number("<I")) for _ in range(keys)}
        weights: Counter[int] = Counter()
        counts: dict[str, int] = {}
        end = 0
        for _ in range(tensors):
            name = self._string()
            count = prod(self._number("<Q") for _ in range(self._number("<I")))
            kind, offset = self._number("<I"), self._number("<Q")
            block, stored = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
            weights[kind] += count
            counts[name] = count
            end = max(end, offset + count // block * stored)
        align = metadata.get("general.alignment", ALIGNMENT)
        return metadata, weights, counts, -(-self._place // align) * align + end

    def _number(self, form: str) -> Any:
        (number,) = struct.unpack_from(form, self._data, self._place)
        self._place += struct.calcsize(form)
        return number

    def _string(self) -> str:
        size = self._number("<Q")
        if size > len(self._data) - self._place:
            raise ValueError("a text in it has no end")
        self._place += size
        return self._data[self._place - size : self._place].decode()

    def _value(self, kind: int) -> Any:
        """A value; of an array, how many it holds."""
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            if kind not in NUMBERS:
                raise ValueError(f"a value in it is of the type {kind}, which does not exist")
            return self._number(NUMBERS[kind])
        kind, count = self._number("<I"), self._number("<Q")
        if kind in NUMBERS:
            self._place += count * struct.calcsize(NUMBERS[kind])
        else:
            for _ in range(count):
                self._value(kind)
        return count
