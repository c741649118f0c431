"""Event types: routes, schemas of data, what each api knows of the types, retention of data."""
