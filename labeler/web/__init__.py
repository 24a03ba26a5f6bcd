"""The pages: rating, login, dashboard, labels. Their scripts are in `static/`. No torch in here."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
