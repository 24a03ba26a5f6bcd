"""A certificate that nobody vouches for, made on the spot."""

import subprocess
from pathlib import Path


def self_signed(folder: Path) -> None:
    """One for this machine, as chain.pem, with its key.pem."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost")
    name = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2")
    make = ("req", "-x509", *curve, *name, "-noenc", "-keyout", "key.pem", "-out", "chain.pem")
    subprocess.run(["openssl", *make], cwd=folder, check=True, capture_output=True)
