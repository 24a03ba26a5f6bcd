"""What oneDNN prepares for a size is forgotten again."""

import ctypes
import sys

import pytest
import torch

from trainer.fast.matmul import linear

MB = 2**20


class Account(ctypes.Structure):
    """`struct mallinfo2` of glibc; see mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def held() -> int:
    """Bytes that are in use, whoever asked for them."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Account
    account = mallinfo()
    return int(account.uordblks + account.hblkhd)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone tells what is in use")
def test_products_of_ever_new_sizes_leave_nothing_behind() -> None:
    """Kept for good, what is prepared for a size takes half a megabyte: 100 MB here."""
    weight = torch.randn(96, 64)
    for rows in range(1, 200):
        linear(torch.randn(rows, 64), weight)
    before = held()
    for rows in range(200, 400):
        linear(torch.randn(rows, 64), weight)
    assert held() - before < 5 * MB
