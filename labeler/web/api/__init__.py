"""The endpoints for programs: what raters do, for `gradio_client`."""
