"""JSON as rows: a value on each line, one list, or an object with one list in it.

One list that is broken is refused as a whole: read by its lines it would lose most of its rows.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from labeler.files.reading.contents import UTF16, ending_of, text_of, unpacked
from labeler.files.reading.shapes import shape_of

LINES = "JSONL"


class Repeated(ValueError):
    """A key that an object has twice, so that one of the values would be lost."""


def rows(path: Path, split: str | None = None) -> tuple[str, Iterator[tuple[int, Any]]]:
    """What the rows are packed in, and the rows. Raises BadInput if it is one broken value."""
    first = [line for _, line in islice(_lines(path), 2)]
    if len(first) == 1 or (first and not is_json(first[0])):
        whole = _whole(path)
        if isinstance(whole, (dict, list)) and not (len(first) == 1 and _is_row(whole)):
            return _within(path, whole, split)
        if isinstance(whole, ValueError) and _is_one_value(path, *first):
            raise BadInput(f"{path} is one JSON value and broken: {whole}; nothing was taken.")
    if split is not None:
        raise BadInput(f"{path} has no splits; leave out --split.")
    return LINES, _values(path)


def is_json(line: str | ValueError) -> bool:
    """Whether a line is an object or a list of JSON by itself."""
    if isinstance(line, ValueError) or not line.lstrip("\ufeff \t").startswith(("{", "[")):
        return False
    return not isinstance(_parsed(line), ValueError)


def _is_one_value(path: Path, line: str | ValueError, then: str | ValueError = "") -> bool:
    """Whether broken JSON is one value and no rows on lines, by its ending and its first lines."""
    if isinstance(line, ValueError) or not isinstance(_parsed(line), ValueError):
        return False
    begun = line.strip()
    is_open = begun.startswith(("[", "{")) and begun.endswith(("[", "{", ","))
    is_list = begun.startswith("[") and not str(then).lstrip().startswith("[")
    return ending_of(path) == ".json" or is_open or is_list


def _within(path: Path, value: Any, split: str | None) -> tuple[str, Iterator[tuple[int, Any]]]:
    """The rows of one value: a list, the only list of an object, or the value itself."""
    if _is_row(value):
        return "one JSON value", _numbered([value])
    if isinstance(value, list):
        return "one JSON list", _numbered(value)
    lists = _lists(value)
    if split is None and len(lists) > 1:
        raise BadInput(
            f"{path} is an object with several lists: {', '.join(lists)}; name one with --split."
        )
    name = split if split is not None else next(iter(lists))
    if name not in lists:
        raise BadInput(f"{path} is an object without a list '{split}'; it has {', '.join(lists)}.")
    return f"the list '{name}' of a JSON object", _numbered(lists[name])


def _is_row(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it is one row: an object of a known shape or without lists, or one conversation."""
    if isinstance(value, dict):
        return shape_of(value) is not None or not _lists(value)
    return bool(value) and all(
        isinstance(item, dict) and ("role" in item or "from" in item) for item in value
    )


def _lists(value: dict[str, Any]) -> dict[str, list[Any]]:
    """The lists in an object that can be rows."""
    return {name: rows for name, rows in value.items() if isinstance(rows, list) and rows}


def _numbered(values: list[Any]) -> Iterator[tuple[int, Any]]:
    return enumerate(values, start=1)


def _whole(path: Path) -> Any:
    """The file as one value, or a ValueError that says where it is none."""
    with text_of(path) as text:
        try:
            return json.loads(text.read(), object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            return ValueError(f"line {error.lineno}: {error.msg[0].lower()}{error.msg[1:]}")
        except UnicodeDecodeError:
            return ValueError("not UTF-8")
        except Repeated as error:
            return error
        except RecursionError:
            return ValueError("nested too deeply")
        except ValueError:  # such as a number of thousands of digits
            return ValueError("not JSON")


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in _lines(path):
        yield number, line if isinstance(line, ValueError) else _parsed(line)


def _lines(path: Path) -> Iterator[tuple[int, str | ValueError]]:
    """The lines that are not blank. One that is not UTF-8 is a ValueError: others may be."""
    with unpacked(path) as content:
        is_utf16 = content.read(2) in UTF16
    if is_utf16:
        with text_of(path) as text:
            yield from ((at, line) for at, line in enumerate(text, start=1) if line.strip())
        return
    with unpacked(path) as content:
        for number, line in enumerate(content, start=1):
            if line.strip():
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    yield number, ValueError("not UTF-8")


def _parsed(text: str) -> Any:
    """The value of a text, or a ValueError that says why there is none."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except Repeated as error:
        return error
    except (ValueError, RecursionError):
        return ValueError("not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Repeated(f"the key '{twice}' is there twice")
    return found
