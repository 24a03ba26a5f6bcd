"""The HTML document that Gradio makes, trimmed to what this page needs, and its own CSP.

Gradio's inline scripts (its config, its mode) are allowed by hash, computed from the very document
that is sent. What would only serve embedding, sharing or installing is taken out.
"""

import base64
import hashlib
import re

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>\s*", re.DOTALL)
_NOT_NEEDED = (
    re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*'),
    re.compile(rb'<link\s+rel="(?:manifest|preconnect|dns-prefetch)"[^>]*>\s*'),
)
_ROOT = re.compile(rb'"root":"[^"]*"')  # where Gradio thinks that it is, going by what a proxy says
_ICON = b'<link rel="icon" href="favicon.ico">'  # browsers look for it at the host's root else
_EMBEDDING = b"iframeResizer.contentWindow"

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}


def trim(html: bytes) -> bytes:
    """The document without hints for other sites and without the script for embedding it. Its files
    are asked for beside it, wherever it is.
    """
    html = _ROOT.sub(b'"root":"."', html).replace(b"<head>", b"<head>" + _ICON, 1)
    for pattern in _NOT_NEEDED:
        html = pattern.sub(b"", html)
    return _INLINE_SCRIPT.sub(lambda found: b"" if _EMBEDDING in found[1] else found[0], html)


def policy(html: bytes) -> str:
    """The Content-Security-Policy of Gradio's document: its inline scripts by hash, and styles."""
    sources = " ".join(["'self'", *(_hash(script) for script in _INLINE_SCRIPT.findall(html))])
    return _joined({**_POLICY, "script-src": sources, "style-src": "'self' 'unsafe-inline'"})


def _joined(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _hash(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


STRICT_POLICY = _joined(_POLICY)  # of everything else: files of this host, nothing inline
