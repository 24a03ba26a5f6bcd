"""Who may come in, and what every answer carries: logins, access, security."""
