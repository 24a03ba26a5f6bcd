"""People and data: settings, store, scheduler, web page. Never imports `trainer` or torch."""
