"""What is shown of the database: counts, reports, searches. Changes nothing."""
