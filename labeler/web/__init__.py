"""The rating page: Gradio lays it out, `static/` rates, `rating` answers. No torch in here."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
