"""`livedpo judge`: the loop without people."""
