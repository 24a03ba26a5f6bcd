"""The pages: rating, login, dashboard, labels; and the endpoints for programs. No torch in here."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
