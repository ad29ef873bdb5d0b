"""The batch job: from films and labels to a finished run in the store."""
